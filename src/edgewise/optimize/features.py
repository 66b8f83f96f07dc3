"""One pass through the encoder gives the features of every cut; they are kept on disk."""

import hashlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidModel, StorageError
from edgewise.optimize.sources import Source
from edgewise.optimize.writing import BundleWriter
from edgewise.records import Input, Progress, aside_of, clear_dead_asides
from edgewise.runtimes import find_runtime

_BATCH = 32


def encode_features(
    source: Source,
    writer: BundleWriter,
    inputs: Sequence[Input],
    data_sha256: str,
    workdir: Path,
    progress: Progress,
    *,
    workers: int,
) -> NDArray[np.float32]:
    """Give features of shape (layers, n, width), from `workdir` where they are there already.

    They depend on how the inputs become tensors too: for images on size and normalization.

    Raises
    ------
    InvalidModel
        When a feature is not finite.
    """
    graph = source.features().SerializeToString()
    read = (writer.tokenizer_sha256, str(writer.max_length), repr(writer.image))
    parts = (hashlib.sha256(graph).hexdigest(), *read, data_sha256)
    key = hashlib.sha256("/".join(parts).encode()).hexdigest()
    path = workdir / f"features-{key[:20]}.npy"
    if path.is_file():
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        model = Path(folder) / "features.onnx"
        model.write_bytes(graph)
        found = _run(model, writer, inputs, source.layers, workers, progress)
    if not np.isfinite(found).all():
        raise InvalidModel(
            "a feature is not finite", where=str(source.folder), hint="check the model"
        )
    clear_dead_asides(path)
    aside = aside_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.save(file, found)
        aside.replace(path)
    except OSError as failure:
        what = f"can't write: {failure.strerror}"
        raise StorageError(what, where=str(path), hint="free some space") from failure
    finally:
        aside.unlink(missing_ok=True)
    return found


def _run(
    model: Path,
    writer: BundleWriter,
    inputs: Sequence[Input],
    layers: int,
    workers: int,
    progress: Progress,
) -> NDArray[np.float32]:
    session = find_runtime("onnxruntime").load(model)
    order = sorted(range(len(inputs)), key=lambda i: len(str(inputs[i].get("text", ""))))
    # Image models are often exported for one image at a time.
    size = next(iter(session.input_shapes[0]), None) or _BATCH
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    found: NDArray[np.float32] | None = None
    done = 0

    def encode(chosen: list[int]) -> NDArray[np.float32]:
        tensors = writer.task.encode([inputs[i] for i in chosen])
        if "image" in tensors:
            tensors = {session.input_names[0]: tensors["image"]}
        outputs = session.run(tensors)
        return np.stack([outputs[f"features_{k}"] for k in range(1, layers + 1)])

    with ThreadPoolExecutor(workers, "edgewise-features") as pool:
        for chosen, stacked in zip(batches, pool.map(encode, batches), strict=True):
            if found is None:
                found = np.empty((layers, len(inputs), stacked.shape[2]), dtype=np.float32)
            found[:, chosen] = stacked
            done += len(chosen)
            progress("optimize: features", done, len(order))
    session.close()
    assert found is not None
    return found
