"""A survey's bundles are those that its figures were taken of."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from edgewise.optimize.survey import Survey
from edgewise.optimize.workbench import Made, Workbench
from edgewise.records import Candidate, EdgeTier

PLAN = (2, ("recover:3", "int8-dynamic"))


class TrainingBench:
    """Stands for a workbench: notes for how long each candidate was trained."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.training_minutes, self.glance = folder, 10.0, 0
        self.spec = SimpleNamespace(edge=EdgeTier())
        self.trained: list[float] = []

    def train_heads(self, depths: Sequence[int]) -> None:
        assert list(depths) == [2]

    def make(self, depth: int, words: Sequence[str]) -> Made:
        self.trained.append(self.training_minutes)
        path = self.folder / f"{depth}-{len(self.trained)}"
        path.mkdir()
        one = Candidate(recipe=tuple(words), runtime="onnxruntime", size_bytes=1, kept=True)
        return Made(candidate=one, path=path)

    def measure(self, made: Made) -> Made:
        return replace(made, candidate=replace(made.candidate, p50_ms=1.0))


def kept(_: str, __: tuple[object, ...], make: Callable[[], Candidate]) -> Candidate:
    return make()


def test_a_bundle_is_trained_anew_for_as_long_as_when_it_was_measured(tmp_path: Path) -> None:
    bench = TrainingBench(tmp_path)
    survey = Survey(cast("Workbench", bench), kept, (2,))
    bench.training_minutes = 0.5  # as within a search
    survey.candidate(PLAN)
    bench.training_minutes = 10.0
    shutil.rmtree(survey.bundle(PLAN))

    path = survey.bundle(PLAN)

    assert path.is_dir()
    assert bench.trained == [0.5, 0.5]
    assert bench.training_minutes == 10.0
