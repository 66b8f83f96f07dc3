"""Bundles written, checked and opened for use."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgewise.errors import IntegrityError, InvalidModel
from edgewise.records import (
    BundleManifest,
    Input,
    Prediction,
    Task,
    digest,
    read_json,
    write_json,
)
from edgewise.runtimes.protocol import Runtime, Session
from edgewise.tasks import TaskModel, open_task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANIFEST = "manifest.json"


class LocalModel:
    """A bundle opened for use. Made by `open_bundle`; any thread may ask it."""

    def __init__(self, manifest: BundleManifest, task: TaskModel, session: Session) -> None:
        self.manifest = manifest
        self.sha256 = bundle_sha256(manifest)
        self.labels = manifest.labels
        self._task = task
        self._session = session
        self._output = session.output_names[0]
        self._rename = self._image_input()

    def predict(self, one: Input) -> Prediction:
        """Answer one input."""
        return self._run([one])[0]

    def predict_many(self, inputs: Sequence[Input], *, batch_size: int = 32) -> list[Prediction]:
        """Answer inputs in order; alike lengths share a batch, so little is padded."""
        order = sorted(range(len(inputs)), key=lambda i: self._size(inputs[i]))
        found: list[Prediction | None] = [None] * len(inputs)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            for index, answer in zip(chosen, self._run([inputs[i] for i in chosen]), strict=True):
                found[index] = answer
        return cast("list[Prediction]", found)

    def length(self, one: Input) -> int:
        """Count an input's tokens or pixels."""
        return self._task.length(one)

    def close(self) -> None:
        """Free the model."""
        self._session.close()

    def _run(self, inputs: Sequence[Input]) -> list[Prediction]:
        tensors = self._task.encode(inputs)
        if self._rename:
            tensors = {self._rename: tensors["image"]}
        logits = cast("NDArray[np.floating]", self._session.run(tensors)[self._output])
        return self._task.decode(logits)

    def _image_input(self) -> str:
        if self.manifest.task is not Task.IMAGE_CLASSIFICATION:
            return ""
        return self._session.input_names[0]

    @staticmethod
    def _size(one: Input) -> int:
        text = one.get("text")
        return len(text) if isinstance(text, str) else 0


def hash_file(path: Path) -> str:
    """Give a file's SHA-256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bundle_sha256(manifest: BundleManifest) -> str:
    """Give a bundle's hash: that of its manifest, which holds the hash of every file."""
    return digest(manifest)


def write_manifest(folder: Path, manifest: BundleManifest) -> BundleManifest:
    """Hash the files of a folder and write its manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    hashes = {path.relative_to(folder).as_posix(): hash_file(path) for path in files}
    whole = replace(manifest, files=hashes)
    write_json(folder / MANIFEST, whole)
    return whole


def read_manifest(folder: Path, *, verify: bool = True) -> BundleManifest:
    """Read a bundle's manifest and check every file against its hash.

    Raises
    ------
    InvalidModel
        When the folder holds no manifest.
    IntegrityError
        When a file is absent or a byte of it differs.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InvalidModel(
            "not a bundle: it holds no manifest.json",
            where=str(folder),
            hint="make one with `edgewise run`",
        )
    manifest = read_json(BundleManifest, path)
    for name, sha256 in manifest.files.items() if verify else ():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(
                "a file outside the bundle is listed", where=str(file), hint="make the bundle anew"
            )
        if not file.is_file():
            raise IntegrityError(
                "the file is missing", where=str(file), hint="copy the bundle again"
            )
        if hash_file(file) != sha256:
            what = "its bytes differ from the manifest's hash"
            raise IntegrityError(
                what, where=str(file), hint="copy the bundle again, or make it anew"
            )
    return manifest


def open_bundle(folder: Path, *, threads: int = 1, verify: bool = True) -> LocalModel:
    """Open a bundle directory for use; hashes are checked first."""
    manifest = read_manifest(folder, verify=verify)
    return _open(manifest, folder, threads)


def open_onnx(model: Path, *, labels: Sequence[str] = (), threads: int = 1) -> LocalModel:
    """Open a plain text classifier: an ONNX file with `tokenizer.json` and its labels beside it.

    Parameters
    ----------
    labels
        In the order of the outputs; by default from `labels.json` or `labels.txt` beside the file.
    """
    manifest = BundleManifest(
        name=model.stem,
        task=Task.TEXT_CLASSIFICATION,
        labels=tuple(labels) or _labels_beside(model),
        files={model.name: hash_file(model)} if model.is_file() else {},
        model=model.name,
    )
    return _open(manifest, model.parent, threads)


def _open(manifest: BundleManifest, folder: Path, threads: int) -> LocalModel:
    session = find_runtime(manifest.runtime).load(folder / manifest.model, threads=threads)
    return LocalModel(manifest, open_task(manifest, folder), session)


def find_runtime(name: str) -> Runtime:
    """Give a runtime by its name.

    Raises
    ------
    InvalidModel
        When there is none of that name.
    """
    from edgewise.runtimes.ort import OnnxRuntime  # noqa: PLC0415 - the registry's one entry

    for one in (OnnxRuntime(),):
        if one.name == name:
            return one
    raise InvalidModel(f"no such runtime: {name}", where="runtime", hint="there is: onnxruntime")


def open_task_of(manifest: BundleManifest, folder: Path) -> TaskModel:
    """Open a bundle's task alone, for those who run its tensors themselves."""
    return open_task(manifest, folder)


def _labels_beside(model: Path) -> tuple[str, ...]:
    listed, plain = model.with_name("labels.json"), model.with_name("labels.txt")
    if listed.is_file():
        return tuple(map(str, json.loads(listed.read_text(encoding="utf-8"))))
    if plain.is_file():
        return tuple(plain.read_text(encoding="utf-8").split("\n")[:-1])
    raise InvalidModel(
        "no label names", where=str(model), hint="put labels.txt beside it, one a line"
    )
