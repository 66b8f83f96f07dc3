"""The answers of edge, source and cloud on a split: models run, the cloud is called in chunks."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgewise.errors import InvalidData, InvalidSpec
from edgewise.pipeline.cache import Cache
from edgewise.records import (
    ApiKey,
    CloudAnswers,
    CloudTier,
    Example,
    Input,
    Progress,
    ProjectSpec,
    Split,
    Task,
)
from edgewise.route import detect
from edgewise.runtimes import LocalModel, RemoteModel
from edgewise.spec import hash_examples

_CHUNK = 256
_BATCH = 16
_CALLS_AT_ONCE = 4

SecretReader = Callable[[ApiKey], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAnswers:
    """A bundle's answers on a split, in its order."""

    labels: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
    energies: tuple[float, ...] | None = None
    """Log-sum-exp of the logits, where the model gives them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAnswers:
    """The cloud's labels for one batch of a split."""

    labels: tuple[str, ...]


def inputs_of(spec: ProjectSpec, examples: Sequence[Example]) -> list[Input]:
    """Give examples as the inputs that the task's models take."""
    return inputs_of_task(spec.task, examples)


def inputs_of_task(task: Task, examples: Sequence[Example]) -> list[Input]:
    """Give examples as the inputs that a task's models take."""
    key = "image" if task is Task.IMAGE_CLASSIFICATION else "text"
    return [{key: example.input} for example in examples]


def clusters_of(split: Split) -> list[str] | None:
    """Give the cluster of each example, where the split names them."""
    found = [example.cluster for example in split.examples if example.cluster is not None]
    return found if found and len(found) == len(split.examples) else None


def may_leave(spec: ProjectSpec, split: Split) -> Split:
    """Keep the examples that privacy lets the cloud see: no promise is made for the others.

    Raises
    ------
    InvalidData
        When none is left: nothing could be promised of the hybrid, nor measured.
    """
    text = spec.task.takes_text
    if spec.cloud is None or not text or not spec.privacy.detect:
        return split
    places = [at for at, e in enumerate(split.examples) if not detect(e.input, spec.privacy.detect)]
    if not places:
        what = f"privacy.detect keeps every row of the {split.name} split on the device"
        hint = "detect fewer kinds, or leave the cloud tier out"
        raise InvalidData(what, where=f"{spec.path}: privacy", hint=hint)
    if len(places) == len(split.examples):
        return split
    kept = tuple(split.examples[at] for at in places)
    lines = tuple(split.lines[at] for at in places) if split.lines else ()
    return Split(name=split.name, examples=kept, sha256=hash_examples(kept), lines=lines)


def local_answers(
    model: LocalModel, inputs: Sequence[Input], workers: int, progress: Progress, stage: str
) -> LocalAnswers:
    """Run a bundle over inputs, each by itself, `workers` at once."""
    labels: list[str] = []
    probabilities: list[tuple[float, ...]] = []
    energies: list[float] = []
    for start in range(0, len(inputs), _CHUNK):
        for answer in model.predict_many(inputs[start : start + _CHUNK], workers=workers):
            labels.append(answer.label)
            probabilities.append(answer.probabilities)
            if answer.energy is not None:
                energies.append(answer.energy)
        progress(stage, min(start + _CHUNK, len(inputs)), len(inputs))
    return LocalAnswers(
        labels=tuple(labels),
        probabilities=tuple(probabilities),
        energies=tuple(energies) if len(energies) == len(labels) else None,
    )


class CloudCaller:
    """Gets the cloud's labels for splits as the spec says: called, from a column, or assumed right.

    Made by `run_project`. Calls are kept in the cache by batch, so an interrupted run pays once.
    """

    def __init__(
        self,
        spec: ProjectSpec,
        cloud: CloudTier,
        labels: tuple[str, ...],
        cache: Cache,
        secret: SecretReader,
    ) -> None:
        self._spec = spec
        self._cloud = cloud
        self._labels = labels
        self._cache = cache
        self._secret = secret

    def check_budget(self, splits: Sequence[Split]) -> float:
        """Say what calling for these splits costs in US dollars at the most, within the budget.

        Raises
        ------
        InvalidSpec
            When the cost exceeds `tiers.cloud.budget_usd`, or there is no endpoint to call.
        """
        if self._cloud.answers is not CloudAnswers.CALL:
            return 0.0
        where = f"{self._spec.path}: tiers.cloud"
        if self._cloud.endpoint is None:
            hint = "give an endpoint, `answers: {column: NAME}` or `answers: assume_right`"
            raise InvalidSpec(
                "the cloud's answers are to be called, and there is no endpoint",
                where=where,
                hint=hint,
            )
        calls = sum(len(split.examples) for split in splits)
        cost = calls * self._cloud.usd_per_request
        budget = self._cloud.budget_usd
        if cost > budget:
            what = f"{calls} cloud calls cost {cost:.2f} USD, and budget_usd is {budget:.2f}"
            raise InvalidSpec(
                what,
                where=where,
                hint="raise budget_usd, use smaller splits or a column of answers",
            )
        return cost

    def labels_for(self, split: Split, progress: Progress) -> tuple[str, ...]:
        """Give the cloud's label for each example of a split, in order."""
        stage = f"cloud on {split.name}"
        if self._cloud.answers is CloudAnswers.ASSUME_RIGHT:
            return tuple(example.label for example in split.examples)
        if self._cloud.answers is CloudAnswers.COLUMN:
            return self._from_column(split)
        found: list[str] = []
        total = len(split.examples)
        for start in range(0, total, _CHUNK):
            found += self._called(stage.replace(" ", "-"), split.examples[start : start + _CHUNK])
            progress(stage, min(start + _CHUNK, total), total)
        return tuple(found)

    def _called(self, stage: str, chunk: Sequence[Example]) -> list[str]:
        """Give labels that are kept, and call for the others."""
        batches = [chunk[i : i + _BATCH] for i in range(0, len(chunk), _BATCH)]
        kept = [self._cache.find(stage, self._parts(one), RemoteAnswers) for one in batches]
        wanted = [one for one, known in zip(batches, kept, strict=True) if known is None]
        called = iter(asyncio.run(self._ask(stage, wanted)) if wanted else ())
        answers = [next(called) if known is None else known for known in kept]
        return [label for one in answers for label in one.labels]

    def _parts(self, batch: Sequence[Example]) -> tuple[object, ...]:
        cloud = self._cloud
        return (cloud.endpoint, cloud.protocol, cloud.model, self._labels, *batch)

    def _from_column(self, split: Split) -> tuple[str, ...]:
        answers = tuple(example.cloud_answer or "" for example in split.examples)
        for at, answer in enumerate(answers):
            if answer not in self._labels:
                what = f"the cloud's answer `{answer}` is no label"
                column = self._cloud.answers_column
                line = split.lines[at] if split.lines else at + 2
                where = f"{split.name} split, line {line}, column `{column}`"
                raise InvalidData(
                    what, where=where, hint=f"labels are: {', '.join(self._labels[:10])}"
                )
        return answers

    async def _ask(self, stage: str, batches: Sequence[Sequence[Example]]) -> list[RemoteAnswers]:
        """Call for batches, and keep each when it is answered: what fails costs no other twice."""
        api_key = self._cloud.api_key
        if api_key is not None and api_key.file is not None:  # relative to the project's file
            api_key = replace(api_key, file=str(self._spec.path.parent / api_key.file))
        key = self._secret(api_key) if api_key is not None else None
        model = RemoteModel(
            self._cloud.endpoint or "",
            protocol=self._cloud.protocol,
            model=self._cloud.model,
            labels=self._labels,
            api_key=key,
            timeout_ms=30_000,
        )
        gate = asyncio.Semaphore(_CALLS_AT_ONCE)

        async def one(batch: Sequence[Example]) -> RemoteAnswers:
            async with gate:
                found = await model.apredict_many(inputs_of(self._spec, batch))
            made = RemoteAnswers(labels=tuple(answer.label for answer in found))
            return self._cache.keep(stage, self._parts(batch), made)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(batch)) for batch in batches]
            return [task.result() for task in tasks]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            await model.aclose()
