"""The recipe search: features in one pass, a head for each cut, INT8 of each, gate and choice."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.choose import choose, over_limits, over_storage
from edgewise.optimize.features import encode_features
from edgewise.optimize.gate import Gate, examine
from edgewise.optimize.passes import head as head_pass
from edgewise.optimize.passes import int8_dynamic
from edgewise.optimize.sources import Head, Source, open_source
from edgewise.optimize.split import fit_part, held_out
from edgewise.optimize.writing import BundleWriter, has_vnni
from edgewise.records import (
    Candidate,
    Input,
    Profile,
    Progress,
    ProjectSpec,
    Split,
    Task,
    silent,
)
from edgewise.runtimes import open_bundle

Probe = Callable[[Path, Sequence[Input]], Profile]
"""Measures a bundle on the target; the composer gives it."""

FLOAT = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeResult:
    """What the search ended in. `chosen` and `reference` exist when `ok`."""

    chosen: Path
    reference: Path
    candidates: tuple[Candidate, ...]
    ok: bool
    reasons: tuple[str, ...]


def optimize(
    spec: ProjectSpec,
    train: Split,
    workdir: Path,
    *,
    probe: Probe,
    workers: int = 1,
    progress: Progress = silent,
) -> OptimizeResult:
    """Make the best bundle of a source for the spec's edge tier.

    Parameters
    ----------
    train
        Heads are fitted on four fifths; the gate and the choice look at the held-out fifth.
    workdir
        Features are kept here, so an interrupted search continues behind them.
    probe
        Measures one bundle on the target.
    workers
        Answers computed at once, a thread each.

    Returns
    -------
    OptimizeResult
        Not `ok`, with every candidate's reasons, when none may ship.

    Raises
    ------
    InvalidModel, InvalidData
        When the source can't be imported, or train does not fit it.
    """
    with extras.needed("optimize"):
        import onnx  # noqa: F401, PLC0415 - a missing extra is said before any work
        import sklearn  # noqa: F401, PLC0415
    return _Search(spec, train, workdir, probe, workers, progress).run()


class _Search:
    def __init__(
        self,
        spec: ProjectSpec,
        train: Split,
        workdir: Path,
        probe: Probe,
        workers: int,
        progress: Progress,
    ) -> None:
        self.spec, self.workdir, self.probe, self.progress = spec, workdir, probe, progress
        self.workers = workers
        self.fit, self.held = fit_part(train), held_out(train)
        found = tuple(sorted({e.label for e in train.examples}))
        self.source: Source = open_source(spec.model.source, spec.model.labels or found)
        self.labels = spec.model.labels or self.source.labels or found
        self._check_labels(train, found)
        index = {name: i for i, name in enumerate(self.labels)}
        self.fit_truth = [index[e.label] for e in self.fit.examples]
        self.truth = np.asarray([index[e.label] for e in self.held.examples])
        key = "image" if spec.task is Task.IMAGE_CLASSIFICATION else "text"
        self.fit_inputs: list[Input] = [{key: e.input} for e in self.fit.examples]
        self.inputs: list[Input] = [{key: e.input} for e in self.held.examples]
        self.folder = workdir / f"candidates-{spec.name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.writer = BundleWriter(spec, self.source, self.labels, self.folder)

    def run(self) -> OptimizeResult:
        depths = self._depths()
        heads = self._heads(depths)
        reference, full = self._reference(heads)
        candidates: list[Candidate] = []
        paths: list[Path] = []
        for number, depth in enumerate(depths):
            self.progress("optimize: candidates", number, len(depths))
            for one, path in self._of_depth(depth, heads[depth], full):
                candidates.append(one)
                paths.append(path)
        self.progress("optimize: candidates", len(depths), len(depths))
        candidates = self._measure(candidates, paths)
        chosen, marked = choose(candidates)
        if chosen is None:
            reasons = tuple(f"{' → '.join(one.recipe)}: {'; '.join(one.why)}" for one in marked)
            return OptimizeResult(
                chosen=reference, reference=reference, candidates=marked, ok=False, reasons=reasons
            )
        return OptimizeResult(
            chosen=paths[chosen],
            reference=reference,
            candidates=marked,
            ok=True,
            reasons=marked[chosen].why,
        )

    def _depths(self) -> tuple[int, ...]:
        wanted = self.spec.optimize.layers or tuple(range(1, self.source.layers + 1))
        return tuple(sorted({min(depth, self.source.layers) for depth in wanted}))

    def _heads(self, depths: tuple[int, ...]) -> dict[int, Head | None]:
        """Train a head for each depth; the source's own serves at full depth where it has one."""
        full = self.source.layers
        wanted = sorted({*depths, full})
        if self.source.has_head and wanted == [full]:
            return {full: None}
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
        strength = head_pass.choose_strength(features[full - 1], self.fit_truth, len(self.labels))
        heads: dict[int, Head | None] = {}
        for number, depth in enumerate(wanted):
            self.progress("optimize: heads", number, len(wanted))
            own = self.source.has_head and depth == full
            heads[depth] = (
                None
                if own
                else head_pass.train_head(
                    features[depth - 1], self.fit_truth, len(self.labels), strength
                )
            )
        return heads

    def _reference(self, heads: dict[int, Head | None]) -> tuple[Path, NDArray[Any]]:
        full = self.source.layers
        path = self.writer.write_float(full, heads[full], self._recipe(full, heads[full]))
        return path, self._logits(path)

    def _of_depth(
        self, depth: int, head: Head | None, full: NDArray[Any]
    ) -> list[tuple[Candidate, Path]]:
        """Make the float form of a cut and its INT8 form, each through the gate."""
        spec, recipe = self.spec, self._recipe(depth, head)
        allowed = (
            spec.optimize.max_cut_loss
            if spec.cloud is not None
            else spec.objective.max_quality_loss
        )
        path = self.writer.write_float(depth, head, recipe)
        logits = full if depth == self.source.layers else self._logits(path)
        cut_gate = Gate(reference="source", max_loss=allowed)
        fidelity, reasons = examine(cut_gate, logits, full, self.truth)
        size = self.writer.size(path)
        found: list[tuple[Candidate, Path]] = []
        if FLOAT in spec.optimize.precisions:
            why = (*reasons, *over_storage(size, spec.edge))
            made = Candidate(
                recipe=recipe,
                runtime="onnxruntime",
                size_bytes=size,
                fidelity=fidelity,
                kept=not why,
                why=why,
            )
            found.append((made, self.writer.finish(path, fidelity)))
        if int8_dynamic.NAME in spec.optimize.precisions:
            found.append(self._int8(path, recipe, logits, reasons))
        return found

    def _int8(
        self,
        source: Path,
        recipe: tuple[str, ...],
        logits: NDArray[Any],
        cut_reasons: tuple[str, ...],
    ) -> tuple[Candidate, Path]:
        spec = self.spec
        recipe = (*recipe, int8_dynamic.NAME)
        path = self.writer.int8_path(source)
        made = Candidate(
            recipe=recipe, runtime="onnxruntime", size_bytes=0, kept=False, why=cut_reasons
        )
        try:
            self.writer.write_int8(source, recipe, reduce_range=not has_vnni())
            size = self.writer.size(path)
            why = (*cut_reasons, *over_storage(size, spec.edge))
            made = replace(made, size_bytes=size, why=why)
            if made.why:
                return made, path
            found = self._logits(path)
        except (InvalidModel, InvalidData) as unfit:
            # The quantizer writes operations that the runtime has not for every type and shape.
            return replace(made, why=(*made.why, unfit.what)), path
        gate = Gate(
            reference="float form",
            max_loss=spec.objective.max_quality_loss,
            min_agreement=spec.optimize.min_agreement,
        )
        fidelity, reasons = examine(gate, found, logits, self.truth)
        made = replace(made, fidelity=fidelity, kept=not reasons, why=reasons)
        return made, self.writer.finish(path, fidelity)

    def _measure(self, candidates: Sequence[Candidate], paths: Sequence[Path]) -> list[Candidate]:
        found = []
        kept = sum(one.kept for one in candidates)
        done = 0
        for one, path in zip(candidates, paths, strict=True):
            if not one.kept:
                found.append(one)
                continue
            self.progress("optimize: measuring", done, kept)
            profile = self.probe(path, self.inputs)
            timed = replace(
                one,
                p50_ms=profile.p50_ms,
                p95_ms=profile.p95_ms,
                peak_memory_bytes=profile.peak_memory_bytes,
            )
            why = over_limits(timed, self.spec.edge, self.spec.objective)
            found.append(replace(timed, kept=not why, why=why))
            done += 1
        self.progress("optimize: measuring", kept, max(kept, 1))
        return found

    def _recipe(self, depth: int, head: Head | None) -> tuple[str, ...]:
        cut = () if depth == self.source.layers else (f"cut:{depth}",)
        trained = () if head is None else (head_pass.NAME,)
        return (*cut, *trained) or (FLOAT,)

    def _logits(self, path: Path) -> NDArray[Any]:
        """Give log-probabilities on the held-out part: logits but for a constant a row."""
        model = open_bundle(path, verify=False)
        try:
            answers = model.predict_many(self.inputs, workers=self.workers)
        finally:
            model.close()
        rows = np.asarray([answer.probabilities for answer in answers])
        logs: NDArray[Any] = np.log(np.maximum(rows, 1e-30))
        return logs

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
