"""Candidates of one source, made by recipe, held against the gate, and measured."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize import recipe as recipes
from edgewise.optimize.choose import over_limits, over_storage
from edgewise.optimize.features import encode_features
from edgewise.optimize.gate import Gate, examine, examine_embeddings, hopeless
from edgewise.optimize.passes import head as head_pass
from edgewise.optimize.recipe import FLOAT, Draft
from edgewise.optimize.sources import Head, Source, example_pixels, open_source
from edgewise.optimize.split import fit_part, held_out, spread
from edgewise.optimize.training import Lesson
from edgewise.optimize.writing import BundleWriter, candidates_folder, has_vnni
from edgewise.records import (
    Candidate,
    Fidelity,
    Input,
    OptimizeSpec,
    Profile,
    Progress,
    ProjectSpec,
    Split,
    Task,
)
from edgewise.runtimes import open_bundle, open_task_of, read_manifest
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

Probe = Callable[[Path, Sequence[Input]], Profile]
"""Measures a bundle on the target; the composer gives it."""
Array = NDArray[Any]

_SAMPLES = 64
_TAUGHT_BYTES = 256 << 20
"""Most that the examples of a training may take in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A candidate, and the bundle directory that it is."""

    candidate: Candidate
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A float model: a cut of the source, pruned or not, with what the gate says of it."""

    draft: Draft
    path: Path
    answers: Array
    """On the held-out part; of a hopeless one on its first slice."""
    fidelity: Fidelity | None
    reasons: tuple[str, ...]
    recipe: tuple[str, ...]


class Workbench:
    """Makes candidates of one source. Made by `optimize`; its bundles live in `workdir`.

    Where `glance` is set, a candidate answers so many held-out inputs first, and one that loses
    far more than is allowed there is out. One training takes about `training_minutes`.
    """

    glance = 0

    def __init__(
        self,
        spec: ProjectSpec,
        train: Split,
        workdir: Path,
        *,
        probe: Probe,
        workers: int,
        progress: Progress,
    ) -> None:
        self.spec, self.workdir, self.probe, self.progress = spec, workdir, probe, progress
        self.workers = workers
        self.training_minutes = spec.optimize.training_minutes
        self.fit, self.held = fit_part(train), held_out(train)
        self.embeds = spec.task is Task.FEATURE_EXTRACTION
        found = () if self.embeds else tuple(sorted({e.label for e in train.examples}))
        labels = spec.model.labels or found
        self.source: Source = open_source(
            spec.model.source, labels, example_pixels(spec.model.image)
        )
        self.labels = () if self.embeds else spec.model.labels or self.source.labels or found
        self._check_rows(train)
        if not self.embeds:
            self._check_labels(train, found)
        index = {name: i for i, name in enumerate(self.labels)}
        self.fit_truth = [index[e.label] for e in self.fit.examples if not self.embeds]
        self.truth = np.asarray([index[e.label] for e in self.held.examples if not self.embeds])
        key = "image" if spec.task is Task.IMAGE_CLASSIFICATION else "text"
        self.fit_inputs: list[Input] = [{key: e.input} for e in self.fit.examples]
        self.inputs: list[Input] = [{key: e.input} for e in self.held.examples]
        folder = candidates_folder(workdir, spec.name)
        shutil.rmtree(folder, ignore_errors=True)
        self.writer = BundleWriter(spec, self.source, self.labels, folder)
        self.source.max_length = self.writer.max_length
        self._heads: dict[int, Head | None] = {}
        self._forms: dict[tuple[int, tuple[str, ...]], _Form] = {}

    def train_heads(self, depths: Sequence[int]) -> None:
        """Train a head for each depth; the source's own serves at full depth where it has one."""
        full = self.source.layers
        wanted = sorted({*depths, full})
        if self.embeds:
            self._heads = dict.fromkeys(wanted)
            return
        if self.source.has_head and wanted == [full]:
            self._heads = {full: None}
            return
        self._check_fit()
        features = encode_features(
            self.source,
            self.writer,
            self.fit_inputs,
            self.fit.sha256,
            self.workdir,
            self.progress,
            workers=self.workers,
        )
        classes = len(self.labels)
        strength = head_pass.choose_strength(features[full - 1], self.fit_truth, classes)
        for number, depth in enumerate(wanted):
            self.progress("optimize: heads", number, len(wanted))
            own = self.source.has_head and depth == full
            self._heads[depth] = (
                None
                if own
                else head_pass.train_head(features[depth - 1], self.fit_truth, classes, strength)
            )

    def reference(self) -> Path:
        """Give the bundle of the whole source in float, which cuts are held against."""
        return self._whole().path

    def make(self, depth: int, words: Sequence[str]) -> Made:
        """Make the candidate of a cut and a recipe, and hold it against the gate.

        One that can't be made or run is out, with the reason.
        """
        structure, numbers = recipes.split([word for word in words if word != FLOAT])
        whole = (*self._start(depth), *structure, *numbers)
        made = Candidate(recipe=whole, runtime="onnxruntime", size_bytes=0, kept=False)
        path = self.writer.path_of(whole)
        try:
            form = self._form(depth, structure)
        except (InvalidModel, InvalidData) as unfit:
            return Made(candidate=replace(made, why=(unfit.what,)), path=path)
        if not numbers:
            size = self.writer.size(form.path)
            why = (*form.reasons, *over_storage(size, self.spec.edge))
            made = replace(
                made,
                recipe=form.recipe,
                size_bytes=size,
                fidelity=form.fidelity,
                kept=not why,
                why=why,
            )
            return Made(candidate=made, path=form.path)
        if self.glance and form.reasons:
            return Made(candidate=replace(made, why=form.reasons), path=path)
        return self._in_fewer_bits(replace(made, why=form.reasons), form, numbers, path)

    def judge(self, path: Path, runtime: str, threads: int) -> tuple[Fidelity, tuple[str, ...]]:
        """Hold a bundle on another runtime against the whole source, by the same gate."""
        answers = self._answers(path, self.inputs, runtime=runtime, threads=threads)
        return self._examine(self._gate("source"), answers, self._whole().answers)

    def measure(self, made: Made) -> Made:
        """Measure a kept candidate on the target and hold it against the target's limits."""
        if not made.candidate.kept:
            return made
        profile = self.probe(made.path, self.inputs)
        timed = replace(
            made.candidate,
            p50_ms=profile.p50_ms,
            p95_ms=profile.p95_ms,
            peak_memory_bytes=profile.peak_memory_bytes,
        )
        why = over_limits(timed, self.spec.edge, self.spec.objective)
        return replace(made, candidate=replace(timed, kept=not why, why=why))

    def _in_fewer_bits(
        self, made: Candidate, form: _Form, numbers: Sequence[str], path: Path
    ) -> Made:
        try:
            draft = form.draft
            if recipes.trains(numbers):
                # By the form's own tokenizer: its vocabulary may be a part of the source's.
                task = open_task_of(read_manifest(form.path, verify=False), form.path)
                draft = replace(draft, lesson=self._lesson(task.encode, None))
            draft = recipes.run(draft, numbers)
            self.writer.write(path, draft, made.recipe)
            size = self.writer.size(path)
            made = replace(
                made, size_bytes=size, why=(*made.why, *over_storage(size, self.spec.edge))
            )
            if made.why:
                return Made(candidate=made, path=path)
            gate = self._gate("source" if self.embeds else "float form")
            before = self._whole() if self.embeds else form
            hopeless = self._hopeless(path, gate, before.answers)
            if hopeless:
                return Made(candidate=replace(made, why=hopeless), path=path)
            answers = self._answers(path, self.inputs)
        except (InvalidModel, InvalidData) as unfit:
            # A quantizer may write operations that the runtime has not for every type and shape.
            return Made(candidate=replace(made, why=(*made.why, unfit.what)), path=path)
        fidelity, reasons = self._examine(gate, answers, before.answers)
        self.writer.finish(path, fidelity)
        return Made(
            candidate=replace(made, fidelity=fidelity, kept=not reasons, why=reasons), path=path
        )

    def _form(self, depth: int, structure: tuple[str, ...]) -> _Form:
        key = (depth, structure)
        if key not in self._forms or not self._forms[key].path.is_dir():
            made = self._make_form(depth, structure)
            whole = (self.source.layers, ())
            # A form is a model in memory: only the whole one is asked for again and again.
            self._forms = {one: form for one, form in self._forms.items() if one == whole}
            self._forms[key] = made
        return self._forms[key]

    def _whole(self) -> _Form:
        return self._form(self.source.layers, ())

    def _make_form(self, depth: int, structure: tuple[str, ...]) -> _Form:
        if self.embeds:
            model = self.source.encoder(depth)
        else:
            model = self.source.classifier(depth, self._heads[depth])
        draft = Draft(
            model=model,
            samples=self._samples(model.graph.input[0].name),
            tokenizer=self.writer.tokenizer_json,
            texts=tuple(str(one["text"]) for one in self.fit_inputs if "text" in one),
            reduce_range=not has_vnni(),
        )
        if recipes.trains(structure):
            teacher = self._whole().draft.model
            draft = replace(draft, lesson=self._lesson(self.writer.task.encode, teacher))
        draft = recipes.run(draft, structure)
        recipe = (*self._start(depth), *structure) or (FLOAT,)
        path = self.writer.path_of(recipe)
        self.writer.write(path, draft, recipe)
        is_whole = depth == self.source.layers and not structure
        gate = self._gate("source")
        if not is_whole and (hopeless := self._hopeless(path, gate, self._whole().answers)):
            return _Form(
                draft=draft,
                path=path,
                answers=np.zeros((0, 0)),
                fidelity=None,
                reasons=hopeless,
                recipe=recipe,
            )
        answers = self._answers(path, self.inputs)
        full = answers if is_whole else self._whole().answers
        fidelity, reasons = self._examine(gate, answers, full)
        self.writer.finish(path, fidelity)
        return _Form(
            draft=draft,
            path=path,
            answers=answers,
            fidelity=fidelity,
            reasons=reasons,
            recipe=recipe,
        )

    def _gate(self, reference: str) -> Gate:
        spec = self.spec
        if reference != "source":
            return Gate(
                reference=reference,
                max_loss=spec.objective.max_quality_loss,
                min_agreement=spec.optimize.min_agreement,
            )
        lost = spec.objective.max_quality_loss if spec.cloud is None else spec.optimize.max_cut_loss
        return Gate(reference=reference, max_loss=lost, min_cosine=spec.optimize.min_cosine)

    def _examine(
        self, gate: Gate, answers: Array, reference: Array
    ) -> tuple[Fidelity, tuple[str, ...]]:
        if self.embeds:
            return examine_embeddings(gate, answers, reference)
        return examine(gate, answers, reference, self.truth)

    def _hopeless(self, path: Path, gate: Gate, reference: Array) -> tuple[str, ...]:
        if not self.glance:
            return ()
        answers = self._answers(path, self.inputs[: self.glance])
        n = len(answers)
        return hopeless(gate, answers, reference[:n], None if self.embeds else self.truth[:n])

    def _start(self, depth: int) -> tuple[str, ...]:
        cut = () if depth == self.source.layers else (f"cut:{depth}",)
        return cut if self._heads[depth] is None else (*cut, head_pass.NAME)

    def _samples(self, first: str) -> tuple[Tensors, ...]:
        """Encode inputs from all over the fit part: a file may be sorted by label."""
        places = spread(len(self.fit_inputs), _SAMPLES)
        found = [self.writer.task.encode([self.fit_inputs[at]]) for at in places]
        return tuple({first: one["image"]} if "image" in one else one for one in found)

    def _lesson(
        self, encode: Callable[[Sequence[Input]], Tensors], teacher: "onnx.ModelProto | None"
    ) -> Lesson:
        """Give what a training learns from: the fit part, or rows from all over it."""
        first = self._whole().draft.model.graph.input[0].name
        size = max(1, sum(one.nbytes for one in encode(self.fit_inputs[:1]).values()))
        step = -(-len(self.fit_inputs) * size // _TAUGHT_BYTES)
        rows = range(0, len(self.fit_inputs), step)
        found = [encode([self.fit_inputs[row]]) for row in rows]
        return Lesson(
            inputs=[{first: one["image"]} if "image" in one else one for one in found],
            labels=None if self.embeds else [self.fit_truth[row] for row in rows],
            teacher=teacher,
            embeds=self.embeds,
            folder=self.workdir / "trained",
            minutes=self.training_minutes or OptimizeSpec().training_minutes,
            threads=self.workers,
            progress=self.progress,
        )

    def _answers(
        self,
        path: Path,
        inputs: Sequence[Input],
        *,
        runtime: str = "",
        threads: int = 1,
    ) -> Array:
        """Give embeddings, or log-probabilities: logits but for a constant a row."""
        model = open_bundle(path, verify=False, runtime=runtime, threads=threads)
        try:
            if self.embeds:
                return model.embed(inputs, workers=self.workers)
            answers = model.predict_many(inputs, workers=self.workers)
        finally:
            model.close()
        rows = np.asarray([answer.probabilities for answer in answers])
        logs: Array = np.log(np.maximum(rows, 1e-30))
        return logs

    def _check_rows(self, train: Split) -> None:
        if self.embeds and not (self.held.examples and self.fit.examples):
            what = f"{len(train.examples)} row(s), too few to hold some out"
            raise InvalidData(what, where="data", hint="give a few hundred natural inputs")

    def _check_labels(self, train: Split, found: tuple[str, ...]) -> None:
        if len(found) < 2 or not self.held.examples:
            what = f"{len(train.examples)} rows with {len(found)} label(s)"
            raise InvalidData(what, where="train split", hint="give rows of at least two labels")
        strange = sorted(set(found) - set(self.labels))
        if strange:
            what = f"label `{strange[0]}` is not among the model's"
            hint = f"the model has: {', '.join(self.labels[:10])}; or set model.labels"
            raise InvalidData(what, where="train split", hint=hint)

    def _check_fit(self) -> None:
        """See that a head can learn every label: one without a row could never be the answer."""
        taught = set(self.fit_truth)
        for index, label in enumerate(self.labels):
            if index in taught:
                continue
            count = int(np.sum(self.truth == index))
            what = f"label `{label}` has no row to fit a head on ({count} held out)"
            hint = "give train more rows of it, or take it out of model.labels"
            if self.source.has_head:
                hint += f"; optimize.layers: [{self.source.layers}] keeps the model's own head"
            raise InvalidData(what, where="train split", hint=hint)
