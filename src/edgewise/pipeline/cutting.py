"""Cuts of an ONNX model, measured on this machine: what a placement may split it by."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise.optimize.parts import WholeModel, made_inputs, worth_trying
from edgewise.profile import describe_target
from edgewise.profile.parts import time_in_turn
from edgewise.records import CutProfile, MeasuredCut, Progress, silent
from edgewise.runtimes import find_runtime, hash_file
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

_CLOSE = 1e-3


def measure_cuts(
    path: Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    threads: int = 1,
    rounds: int = 40,
    most: int = 8,
    seed: int = 0,
    progress: Progress = silent,
) -> CutProfile:
    """Cut a model at each place worth it and time whole, heads and tails in turn.

    A cut whose two parts do not give the model's own answer is left out, and so is one that sends
    no less than the inputs are, with those that its tail takes besides.

    Parameters
    ----------
    shapes
        Of inputs whose file does not say all dimensions.
    rounds
        At least 4.
    most
        Places to measure.
    seed
        Of the made-up inputs.

    Raises
    ------
    InvalidData, InvalidModel
        When the model can't be read, run or asked.
    """
    model = WholeModel(path)
    inputs = made_inputs(model.inputs, shapes or {}, np.random.default_rng(seed))
    input_bytes = sum(one.nbytes for one in inputs.values())
    with tempfile.TemporaryDirectory(prefix="edgewise-") as name:
        folder = Path(name)
        seen = _run(model.whole(model.places), inputs, folder, threads)
        sizes = {place: seen[place].nbytes for place in model.places}
        chosen = worth_trying(sizes, input_bytes=input_bytes, most=most)
        files = [_written(model.whole(), folder / "whole.onnx")]
        kept: list[tuple[str, int]] = []
        for number, place in enumerate(chosen):
            head, tail = model.head(place), model.tail(place, seen[place])
            beside = [one.name for one in tail.graph.input if one.name != place]
            sent = sizes[place] + sum(inputs[one].nbytes for one in beside)
            if sent >= input_bytes:
                continue
            given = _run(head, inputs, folder, threads)
            answer = _run(tail, {**inputs, **given}, folder, threads)[model.output]
            if not _is_close(answer, seen[model.output]):
                continue
            kept.append((place, sent))
            files += [
                _written(part, folder / f"{number}.{side}.onnx")
                for side, part in (("head", head), ("tail", tail))
            ]
        known = {**inputs, **{place: seen[place] for place, _ in kept}}
        times_ms = time_in_turn(files, known, threads=threads, rounds=rounds, progress=progress)
    return CutProfile(
        model_sha256=hash_file(path),
        target=describe_target(threads, "onnxruntime"),
        whole_ms=times_ms[0],
        input_bytes=input_bytes,
        rounds=rounds,
        points=tuple(
            MeasuredCut(
                tensor=place,
                sent_bytes=sent,
                head_ms=times_ms[1 + 2 * at],
                tail_ms=times_ms[2 + 2 * at],
            )
            for at, (place, sent) in enumerate(kept)
        ),
    )


def _run(model: "onnx.ModelProto", inputs: Tensors, folder: Path, threads: int) -> Tensors:
    session = find_runtime("onnxruntime").load(
        _written(model, folder / "once.onnx"), threads=threads
    )
    found = session.run(inputs)
    session.close()
    return found


def _written(model: "onnx.ModelProto", path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def _is_close(answer: NDArray[Any], expected: NDArray[Any]) -> bool:
    scale = max(1.0, float(np.abs(expected).max()))
    return answer.shape == expected.shape and bool(
        np.allclose(answer, expected, rtol=0.0, atol=_CLOSE * scale)
    )
