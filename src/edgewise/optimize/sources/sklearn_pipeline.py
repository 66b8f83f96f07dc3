"""A fitted scikit-learn pipeline becomes ONNX through skl2onnx, and then an `OnnxSource`.

Only a pipeline that is in memory: files of them are pickles, which run what they like when read.
"""

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgewise import extras
from edgewise.errors import EdgewiseError, InvalidData, InvalidModel
from edgewise.optimize.sources.onnx_file import OnnxSource
from edgewise.runtimes import find_runtime

with extras.needed("sklearn"):
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.pipeline import Pipeline

OPSET = 17
TOLERANCE = 1e-4
INPUT = "input"
_LEAST = 1e-30


def open_pipeline(
    pipeline: Any, samples: Sequence[str] | NDArray[Any], *, folder: Path | None = None
) -> OnnxSource:
    """Make a source of a fitted classifier; its logits are the logarithms of its probabilities.

    Parameters
    ----------
    samples
        Rows as the pipeline takes them, numbers of shape (n, columns) or texts: the ONNX form is
        held against the pipeline on them.

    Raises
    ------
    InvalidModel
        When a step can't be converted, by its name; when the pipeline gives no probabilities; or
        when the ONNX form gives others.
    InvalidData
        When there are no samples.
    """
    model = export_pipeline(pipeline, samples)
    labels = tuple(str(one) for one in pipeline.classes_)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as name:
        path = Path(name) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        source = OnnxSource(path, labels)
    source.folder = folder or Path()
    return source


def export_pipeline(pipeline: Any, samples: Sequence[str] | NDArray[Any]) -> onnx.ModelProto:
    """Write a fitted classifier as ONNX with `logits` of shape (n, classes).

    Raises
    ------
    InvalidModel, InvalidData
        As `open_pipeline` does.
    """
    if len(samples) == 0:
        raise InvalidData("there are no samples", where="samples", hint="give a few rows")
    steps = list(pipeline.steps) if isinstance(pipeline, Pipeline) else [("model", pipeline)]
    where = f"step `{steps[-1][0]}`"
    if not hasattr(pipeline, "predict_proba") or not hasattr(pipeline, "classes_"):
        what = f"`{type(steps[-1][1]).__name__}` gives no probabilities, or is not fitted"
        hint = "end in a fitted classifier with predict_proba"
        raise InvalidModel(what, where=where, hint=hint)
    rows = _rows(samples)
    shape = [None, 1 if rows.dtype.kind == "U" else rows.shape[1]]
    kind = StringTensorType if rows.dtype.kind == "U" else FloatTensorType
    initial = [(INPUT, kind(shape))]
    with _silence():
        try:
            made = to_onnx(
                pipeline,
                initial_types=initial,
                target_opset={"": OPSET, "ai.onnx.ml": 3},
                options={id(steps[-1][1]): {"zipmap": False}},
            )
        except Exception as broken:
            raise _blame(steps, initial, broken) from broken
    _use_plain_locale(made)
    model = _with_logits(made, len(pipeline.classes_))
    _compare(model, rows, np.asarray(pipeline.predict_proba(samples)), steps)
    return model


def _rows(samples: Sequence[str] | NDArray[Any]) -> NDArray[Any]:
    rows = np.asarray(samples)
    if rows.dtype.kind in "UO":
        return np.asarray(rows, dtype=str).reshape(-1, 1)
    if rows.ndim != 2:
        what = f"the samples have the shape {rows.shape}"
        raise InvalidData(
            what, where="samples", hint="give texts, or numbers of shape (n, columns)"
        )
    return rows.astype(np.float32)


def _blame(steps: list[tuple[str, Any]], initial: list[Any], broken: Exception) -> InvalidModel:
    """Find the first step with which the pipeline can't be converted."""
    for count, (name, step) in enumerate(steps, start=1):
        try:
            to_onnx(
                Pipeline(steps[:count]),
                initial_types=initial,
                target_opset={"": OPSET, "ai.onnx.ml": 3},
            )
        except Exception as reason:  # noqa: BLE001 - each way to fail names the step
            what = f"`{type(step).__name__}` can't be converted: {_first_line(reason)}"
            hint = "replace the step by one that skl2onnx knows"
            return InvalidModel(what, where=f"step `{name}`", hint=hint)
    what = f"can't be converted: {_first_line(broken)}"
    return InvalidModel(what, where="pipeline", hint="replace the steps that skl2onnx lacks")


def _use_plain_locale(model: onnx.ModelProto) -> None:
    """Let words be lower-cased by the locale that each machine has.

    It knows ASCII alone: where the samples hold other capitals the answers differ, and that is
    said. The converter's `en_US.UTF-8` is absent from small systems, which then can't load the
    model at all.
    """
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [one for one in node.attribute if one.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("locale", "C")])


def _with_logits(made: onnx.ModelProto, classes: int) -> onnx.ModelProto:
    """Give the model with the logarithm of its probabilities as its one output."""
    graph = made.graph
    shares = next(
        one.name for one in graph.output if one.type.tensor_type.elem_type == TensorProto.FLOAT
    )
    least = numpy_helper.from_array(np.asarray(_LEAST, np.float32), "edgewise.least")
    graph.initializer.append(least)
    graph.node.append(helper.make_node("Max", [shares, least.name], ["edgewise.shares"]))
    graph.node.append(helper.make_node("Log", ["edgewise.shares"], ["logits"]))
    del graph.output[:]
    shape: list[str | int | None] = ["batch", classes]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    return made


def _compare(
    model: onnx.ModelProto,
    rows: NDArray[Any],
    wanted: NDArray[Any],
    steps: list[tuple[str, Any]],
) -> None:
    text = rows.dtype.kind == "U"
    hint = "replace the step whose ONNX form is another"
    if text:
        hint = (
            "lower-case the texts beforehand with lowercase=False on the vectorizer, "
            "or set its token_pattern='[a-zA-Z0-9_]+'"
        )
    where = f"step `{steps[0][0]}`" if text else "pipeline"
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        try:
            session = find_runtime("onnxruntime").load(path)
            found = np.exp(session.run({INPUT: rows.astype(object) if text else rows})["logits"])
            session.close()
        except EdgewiseError as broken:
            what = f"the ONNX form can't run on the samples: {broken.what}"
            raise InvalidModel(what, where=where, hint=hint) from broken
    apart = np.abs(found - wanted).max(axis=1)
    worst = int(apart.argmax())
    if not apart[worst] <= TOLERANCE:
        what = f"the ONNX form answers sample {worst} otherwise: {apart[worst]:.2g} apart"
        raise InvalidModel(what, where=where, hint=hint)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what the converter prints and logs from the user's terminal."""
    log = logging.getLogger("skl2onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _first_line(broken: BaseException) -> str:
    lines = [line.strip() for line in str(broken).splitlines() if line.strip()]
    return (lines or [type(broken).__name__])[0][:160]
