"""When a bundle's answers to a split are taken from the cache."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgewise.pipeline.cache import Cache
from edgewise.pipeline.chain import _answers
from edgewise.records import (
    DataSpec,
    Example,
    ModelSpec,
    Prediction,
    ProjectSpec,
    Split,
    Task,
    silent,
)

SPEC = ProjectSpec(
    name="tiny",
    task=Task.TEXT_CLASSIFICATION,
    model=ModelSpec(source=Path("model")),
    data=DataSpec(train=Path("a"), calibration=Path("b"), test=Path("c")),
)
SPLIT = Split(name="test", examples=(Example("good", "positive", None, None),), sha256="ab")


class Counted:
    """A model of the same bytes whatever runs it, which counts its runs."""

    sha256 = "0" * 64

    def __init__(self, runtime: str) -> None:
        self.manifest = SimpleNamespace(runtime=runtime)
        self.runs = 0

    def predict_many(self, inputs: list[Any], *, workers: int) -> list[Prediction]:
        del workers
        self.runs += 1
        return [Prediction("positive", 0.9, (0.1, 0.9)) for _ in inputs]


def test_answers_are_those_of_the_runtime_that_is_here(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first: Any = Counted("onnxruntime")
    other: Any = Counted("no such runtime")

    for model in (first, first, other):
        _answers(SPEC, model, SPLIT, cache, silent)

    assert (first.runs, other.runs) == (1, 1)
