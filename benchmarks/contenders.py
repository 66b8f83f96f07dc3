"""What the optimizer makes of a model: a recipe on a runtime, each ready to be timed.

A recipe's words are those of `edgewise.optimize.recipe`. On LiteRT the recipe runs without the
words for bits, the graph becomes a `.tflite` with a signature a length, and LiteRT's dynamic INT8
does the rest.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from benchmarks.peers import Inputs, Run, litert_float, ort_float
from benchmarks.subjects import Case

from edgewise.errors import InvalidModel
from edgewise.optimize import recipe
from edgewise.optimize.mobile import Bounds, MobileFormat, export_mobile
from edgewise.optimize.mobile.from_onnx import module_of

_ANY = Bounds(min_cosine=-1.0, max_relative_error=1e9, min_agreement=0.0)
"""The benchmark's own gate decides."""
MIN_COSINE = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A recipe on a runtime. `fixed` writes the timed size into the graph."""

    recipe: str
    runtime: str
    fixed: bool = False

    @property
    def name(self) -> str:
        """Give what tables call it."""
        return f"{self.recipe} on {self.runtime}{' (fixed)' if self.fixed else ''}"


TEXT = (
    Contender(recipe="int8-dynamic", runtime="onnxruntime"),
    Contender(recipe="smooth,int8-dynamic", runtime="onnxruntime"),
    Contender(recipe="fuse,smooth,int8-dynamic", runtime="onnxruntime"),
    Contender(recipe="smooth,int8-static:percentile", runtime="onnxruntime"),
    Contender(recipe="smooth,int8-static:percentile", runtime="openvino"),
    Contender(recipe="smooth,int8-static:percentile", runtime="openvino", fixed=True),
    Contender(recipe="float32", runtime="litert"),
)
TRAINED = tuple(Contender(recipe=f"prune-ffn:{share}", runtime="litert") for share in (0.02, 0.04))
"""Which neurons matter, random weights do not tell."""
_STATIC = (
    "int8-static:minmax",
    "int8-static-whole",
    *(f"int8-static-after:{count}" for count in (1, 2, 3)),
)
IMAGE = (
    *(Contender(recipe=one, runtime="onnxruntime") for one in ("float32", *_STATIC)),
    *(Contender(recipe=one, runtime="openvino") for one in ("float32", *_STATIC)),
    Contender(recipe="float32", runtime="litert"),
)


def contenders_for(case: Case) -> tuple[Contender, ...]:
    """Give what is tried on a model."""
    if not case.subject.is_text:
        return IMAGE
    return (*TEXT, *TRAINED) if case.name == "minilm" else TEXT


class Maker:
    """Makes contenders of one case; the runtimes share what a recipe made."""

    def __init__(self, case: Case, folder: Path) -> None:
        self._case = case
        self._folder = folder
        self._made: dict[str, onnx.ModelProto] = {}

    def make(self, one: Contender, shapes: Sequence[Inputs]) -> Run:
        """Give a contender ready to run.

        Raises
        ------
        EdgewiseError
            When a pass or a runtime can't take this model.
        """
        started_s = time.perf_counter()
        model = self._apply(one.recipe)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        if one.runtime == "litert":
            made = export_mobile(
                module_of(model, takes=self._case.subject.inputs),
                shapes,
                folder,
                formats=[MobileFormat.TFLITE_INT8],
                int8_bounds=_ANY,
            )[0]
            if made.path is None:
                raise InvalidModel(made.why, where=one.name, hint="leave it out")
            run = litert_float.padded(shapes, Path(made.path))
        else:
            path = folder / "model.onnx"
            onnx.save(_with_sizes(model, self._case.timed[0]) if one.fixed else model, path)
            run = ort_float.of(path, one.runtime)
        run(self._case.timed[0])
        print(f"  {one.name} ready in {time.perf_counter() - started_s:.0f} s", flush=True)
        return run

    def _apply(self, text: str) -> onnx.ModelProto:
        if text not in self._made:
            draft = recipe.Draft(model=self._case.source, samples=tuple(self._case.subject.samples))
            self._made[text] = recipe.run(draft, recipe.parse(text)).model
        return self._made[text]


def cosine(run: Run, reference: Run, inputs: Sequence[Inputs]) -> float:
    """Give the mean cosine of two runs' outputs."""
    rows = [(run(one)[0].astype(float), reference(one)[0].astype(float)) for one in inputs]
    return float(np.mean([a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in rows]))


def _with_sizes(model: onnx.ModelProto, inputs: Inputs) -> onnx.ModelProto:
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for one in found.graph.input:
        for dim, size in zip(one.type.tensor_type.shape.dim, inputs[one.name].shape, strict=True):
            dim.dim_value = size
    return found
