"""Bundles written, checked and opened for use."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgewise.errors import IntegrityError, InvalidModel, StorageError
from edgewise.records import (
    BundleManifest,
    ImageInput,
    Input,
    Prediction,
    Task,
    digest,
    read_json,
    write_json,
)
from edgewise.runtimes.litert import LiteRt
from edgewise.runtimes.openvino import OpenVino
from edgewise.runtimes.ort import OnnxRuntime
from edgewise.runtimes.protocol import Runtime, Session
from edgewise.runtimes.weights import weights_beside
from edgewise.tasks import TaskModel, open_task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANIFEST = "manifest.json"
RUNTIMES: tuple[Runtime, ...] = (OnnxRuntime(), OpenVino(), LiteRt())

_TOKENIZERS = ("tokenizer.json", "vocab.txt")


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

    def predict_many(
        self, inputs: Sequence[Input], *, batch_size: int = 1, workers: int = 1
    ) -> list[Prediction]:
        """Answer inputs in order; alike lengths share a batch, so little is padded.

        Parameters
        ----------
        workers
            Batches under way at once, a thread each; the answers do not depend on it.
        batch_size
            At 1 each answer is the one that `predict` gives. In a larger batch a dynamically
            quantized model scales its numbers over all of it, so answers depend on their company:
            of 600 sentences through a MiniLM in INT8, 2.5 % got another label by 32.
        """
        batches = self._batches(inputs, batch_size)
        found: list[Prediction | None] = [None] * len(inputs)

        def answer(chosen: list[int]) -> None:
            for index, one in zip(chosen, self._run([inputs[i] for i in chosen]), strict=True):
                found[index] = one

        if workers == 1:
            for chosen in batches:
                answer(chosen)
        else:
            with ThreadPoolExecutor(workers, "edgewise-answers") as pool:
                list(pool.map(answer, batches))
        return cast("list[Prediction]", found)

    def embed(
        self, inputs: Sequence[Input], *, batch_size: int = 1, workers: int = 1
    ) -> "NDArray[np.floating]":
        """Give an encoder's vectors of shape (n, width), in the order of the inputs.

        A classifier's are its logits. As with `predict_many`, answers of a quantized model depend
        on their company in a larger batch.
        """
        import numpy as np  # noqa: PLC0415 - loaded with the runtime

        def answer(chosen: list[int]) -> "NDArray[np.floating]":
            return self._outputs([inputs[i] for i in chosen])

        batches = self._batches(inputs, batch_size)
        if workers == 1:
            rows = [answer(chosen) for chosen in batches]
        else:
            with ThreadPoolExecutor(workers, "edgewise-answers") as pool:
                rows = list(pool.map(answer, batches))
        stacked = np.concatenate(rows)
        found = np.empty_like(stacked)
        found[[i for chosen in batches for i in chosen]] = stacked
        return found

    def work(self, inputs: Sequence[Input], *, batch_size: int = 1) -> None:
        """Do all that answering takes and drop the answers, for those who time it."""
        if self.manifest.task is Task.FEATURE_EXTRACTION:
            self.embed(inputs, batch_size=batch_size)
        elif len(inputs) == 1:
            self.predict(inputs[0])
        else:
            self.predict_many(inputs, batch_size=batch_size)

    def length(self, one: Input) -> int:
        """Count an input's tokens or pixels."""
        return self._task.length(one)

    def read_ahead(self, one: Input) -> int:
        """Count as `length`, for who asks `predict` next: what was read is not read again."""
        return self._task.read_ahead(one)

    def close(self) -> None:
        """Free the model."""
        self._session.close()

    def _batches(self, inputs: Sequence[Input], size: int) -> list[list[int]]:
        order = sorted(range(len(inputs)), key=lambda i: self._size(inputs[i]))
        return [order[start : start + size] for start in range(0, len(order), size)]

    def _run(self, inputs: Sequence[Input]) -> list[Prediction]:
        return self._task.decode(self._outputs(inputs))

    def _outputs(self, inputs: Sequence[Input]) -> "NDArray[np.floating]":
        tensors = self._task.encode(inputs)
        if self._rename:
            tensors = {self._rename: tensors["image"]}
        return cast("NDArray[np.floating]", self._session.run(tensors)[self._output])

    def _image_input(self) -> str:
        if self.manifest.task is not Task.IMAGE_CLASSIFICATION:
            return ""
        return self._session.input_names[0]

    @staticmethod
    def _size(one: Input) -> int:
        text = one.get("text")
        return len(text) if isinstance(text, str) else 0


def hash_file(path: Path) -> str:
    """Give a file's SHA-256 in hex.

    Raises
    ------
    StorageError
        When the file can't be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as failure:
        what = f"can't read: {failure.strerror or failure}"
        raise StorageError(
            what, where=str(path), hint="check that it is there, and who may read it"
        ) from failure


def bundle_sha256(manifest: BundleManifest) -> str:
    """Give a bundle's hash: that of its manifest, which holds the hash of every file."""
    return digest(manifest)


def write_manifest(folder: Path, manifest: BundleManifest) -> BundleManifest:
    """Hash every file of a folder but the manifest, and write that.

    Returns
    -------
    BundleManifest
        The one given, with `files` made anew.

    Raises
    ------
    StorageError
        When a file can't be read, or the manifest not be written.
    """
    names = sorted(name for name in _files_in(folder) if name != MANIFEST)
    hashes = {name: hash_file(folder / name) for name in names}
    whole = replace(manifest, files=hashes)
    write_json(folder / MANIFEST, whole)
    return whole


def read_manifest(folder: Path, *, verify: bool = True) -> BundleManifest:
    """Read a bundle's manifest and check every file against its hash.

    Raises
    ------
    InvalidModel
        When the folder holds no manifest.
    InvalidRecord, SchemaMismatch
        When the manifest is no manifest, or of another version.
    IntegrityError
        When a file is absent, a byte of it differs, or one that is used has no hash.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InvalidModel(
            "not a bundle: it holds no manifest.json",
            where=str(folder),
            hint="make one with `edgewise run`",
        )
    manifest = read_json(BundleManifest, path)
    if verify:
        _verify(manifest, folder)
    return manifest


def open_bundle(
    folder: Path, *, threads: int | None = None, runtime: str = "", verify: bool = True
) -> LocalModel:
    """Open a bundle directory for use; hashes are checked first.

    Parameters
    ----------
    threads, runtime
        By default those that the manifest names.
    """
    manifest = read_manifest(folder, verify=verify)
    session = find_runtime(runtime or manifest.runtime).load(
        folder / manifest.model, threads=threads or manifest.threads
    )
    return LocalModel(manifest, open_task(manifest, folder), session)


def open_classifier(folder: Path, *, threads: int | None = None) -> LocalModel:
    """Open a bundle that gives labels.

    Raises
    ------
    InvalidModel
        When it is an encoder's.
    """
    if read_manifest(folder).task is Task.FEATURE_EXTRACTION:
        what = "the bundle is an encoder's and gives no labels"
        hint = "edgewise.runtimes.open_bundle(...).embed(inputs) gives its vectors"
        raise InvalidModel(what, where=str(folder), hint=hint)
    return open_bundle(folder, threads=threads)


def open_onnx(
    model: Path,
    *,
    labels: Sequence[str] = (),
    tokenizer: Path | None = None,
    image: ImageInput | None = None,
    threads: int = 1,
) -> LocalModel:
    """Open a plain classifier: an ONNX file with its labels, and for text its tokenizer, beside it.

    A model with an input `input_ids` takes text, one with a single input of four dimensions takes
    images.

    Parameters
    ----------
    labels
        In the order of the outputs; by default from `labels.json` or `labels.txt` beside the file.
    tokenizer
        By default `tokenizer.json` or `vocab.txt` beside the file.
    image
        By default of the size that the model says, normalized as ImageNet's images are.

    Raises
    ------
    InvalidModel
        When the model can't be loaded, or what it takes and gives is not known.
    """
    runtime = RUNTIMES[0]
    session = runtime.load(model, threads=threads)
    text = "input_ids" in session.input_names
    beside = [model.with_name(name) for name in _TOKENIZERS]
    if text and tokenizer is None:
        tokenizer = next((path for path in beside if path.is_file()), beside[0])
    manifest = BundleManifest(
        name=model.stem,
        task=Task.TEXT_CLASSIFICATION if text else Task.IMAGE_CLASSIFICATION,
        labels=tuple(labels) or _labels_beside(model),
        files={
            **{name: hash_file(path) for name, path in weights_beside(model).items()},
            **{
                path.name: hash_file(path) for path in (model, tokenizer) if path and path.is_file()
            },
        },
        model=model.name,
        runtime=runtime.name,
        tokenizer=tokenizer.name if tokenizer else None,
        image=None if text else image or _image_input(session, model),
    )
    folder = tokenizer.parent if tokenizer else model.parent
    return LocalModel(manifest, open_task(manifest, folder), session)


def image_input_of(model: Path) -> ImageInput:
    """Say how images become a model's input, by the size that it says itself.

    Raises
    ------
    InvalidModel
        When it can't be loaded, or does not say.
    """
    session = RUNTIMES[0].load(model)
    try:
        return _image_input(session, model)
    finally:
        session.close()


def find_runtime(name: str) -> Runtime:
    """Give a runtime by its name.

    Raises
    ------
    InvalidModel
        When there is none of that name.
    """
    for one in RUNTIMES:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in RUNTIMES)
    raise InvalidModel(f"no such runtime: {name}", where="runtime", hint=f"there is: {known}")


def open_task_of(manifest: BundleManifest, folder: Path) -> TaskModel:
    """Open a bundle's task alone, for those who run its tensors themselves."""
    return open_task(manifest, folder)


def _files_in(folder: Path) -> list[str]:
    return [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]


def _verify(manifest: BundleManifest, folder: Path) -> None:
    used = [manifest.model]
    if not {*_files_in(folder)} <= {*manifest.files, MANIFEST}:  # a large model is not read in vain
        beside = weights_beside(folder / manifest.model).values()
        used += [path.relative_to(folder).as_posix() for path in beside]
    if manifest.task.takes_text:
        found = [name for name in _TOKENIZERS if (folder / name).is_file()]
        used += [manifest.tokenizer] if manifest.tokenizer else found
    for name in used:
        if name not in manifest.files:
            what, hint = "the manifest has no hash of it", "make the bundle anew"
            raise IntegrityError(what, where=str(folder / name), hint=hint)
    for name, sha256 in manifest.files.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            what, hint = "a file outside the bundle is listed", "make the bundle anew"
            raise IntegrityError(what, where=str(file), hint=hint)
        if not file.is_file():
            what, hint = "the file is missing", "copy the bundle again"
            raise IntegrityError(what, where=str(file), hint=hint)
        if hash_file(file) != sha256:
            what = "its bytes differ from the manifest's hash"
            hint = "copy the bundle again, or make it anew"
            raise IntegrityError(what, where=str(file), hint=hint)


def _image_input(session: Session, model: Path) -> ImageInput:
    shape = session.input_shapes[0] if len(session.input_shapes) == 1 else ()
    for at, first in ((1, True), (3, False)):
        if len(shape) == 4 and shape[at] in (1, 3):
            height, width = shape[2:] if first else shape[1:3]
            if height and width:
                channels = shape[at] or 3
                return ImageInput(
                    height=height, width=width, channels=channels, channels_first=first
                )
    taken = ", ".join(
        f"{name} {list(shape)}"
        for name, shape in zip(session.input_names, session.input_shapes, strict=True)
    )
    what = f"what the model takes is not known from its inputs: {taken}"
    hint = "give text models an input `input_ids`; for images of any size, give `image`"
    raise InvalidModel(what, where=str(model), hint=hint)


def _labels_beside(model: Path) -> tuple[str, ...]:
    listed, plain = model.with_name("labels.json"), model.with_name("labels.txt")
    path = listed if listed.is_file() else plain
    if not path.is_file():
        hint = "put labels.txt beside it, one a line"
        raise InvalidModel("no label names", where=str(model), hint=hint)
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = json.loads(text) if path == listed else text.strip("\n").split("\n")
    except (OSError, ValueError) as broken:
        what = f"can't be read: {broken}"
        raise InvalidModel(what, where=str(path), hint="write the label names anew") from broken
    names = found if isinstance(found, list) else []
    if (
        not names
        or not all(isinstance(x, str) and x for x in names)
        or len(set(names)) < len(names)
    ):
        what, hint = "not a list of different names", 'write them like ["negative", "positive"]'
        raise InvalidModel(what, where=str(path), hint=hint)
    return tuple(names)
