"""Candidates on disk: a directory each, with all that a bundle needs."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgewise.errors import InvalidModel, StorageError
from edgewise.optimize.recipe import Draft
from edgewise.optimize.sources import Source, source_files
from edgewise.records import (
    BundleManifest,
    Fidelity,
    ProjectSpec,
    clear_dead_asides,
    own_aside_of,
)
from edgewise.runtimes import hash_file, open_task_of, read_manifest, write_manifest

_MODEL = "model.onnx"
_WEIGHTS = ".safetensors"
"""Of a directory's weights."""


class BundleWriter:
    """Writes candidate bundles of one source. Made by the search."""

    def __init__(
        self, spec: ProjectSpec, source: Source, labels: tuple[str, ...], folder: Path
    ) -> None:
        self._source, self._folder = source, folder
        path = spec.model.source
        files = source_files(path)
        whole = hashlib.sha256()
        for file in files:
            with file.open("rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
        # A directory may hold the same model in other forms too, which nobody reads.
        weights = [
            p for p in files if path.is_file() or (p.parent == path and p.suffix == _WEIGHTS)
        ]
        self.source_size_bytes = sum(p.stat().st_size for p in weights)
        if not self.source_size_bytes:  # what a factory makes has no file: its graph stands for it
            graph = source.features().SerializeToString()
            whole.update(graph)
            self.source_size_bytes = len(graph)
        self.source_sha256 = whole.hexdigest()
        self.max_length = min(spec.model.max_length, source.max_length)
        self.image = spec.model.image
        text = spec.task.takes_text
        self._tokenizer = _find_tokenizer(spec, source) if text else None
        self._manifest = BundleManifest(
            name=spec.name,
            task=spec.task,
            labels=labels,
            files={},
            model=_MODEL,
            source_sha256=self.source_sha256,
            source_size_bytes=self.source_size_bytes,
            tokenizer=self._tokenizer.name if self._tokenizer else None,
            max_length=self.max_length,
            image=self.image,
            threads=spec.edge.threads,
        )
        is_json = self._tokenizer is not None and self._tokenizer.suffix == ".json"
        self.tokenizer_json = (
            self._tokenizer.read_text(encoding="utf-8") if self._tokenizer and is_json else None
        )
        self.tokenizer_sha256 = hash_file(self._tokenizer) if self._tokenizer else ""
        folder.mkdir(parents=True, exist_ok=True)
        self.task = open_task_of(
            self._manifest, self._tokenizer.parent if self._tokenizer else folder
        )

    def path_of(self, recipe: Sequence[str]) -> Path:
        """Say where the candidate of a recipe goes."""
        return self._folder / "+".join(word.replace(":", "-") for word in recipe)

    def write(self, path: Path, draft: Draft, recipe: tuple[str, ...]) -> None:
        """Write a draft as a bundle, in the place of one that is there.

        Raises
        ------
        StorageError
            When there is no room.
        """
        try:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            (path / _MODEL).write_bytes(draft.model.SerializeToString())
            if self._tokenizer is not None and draft.tokenizer is not None:
                (path / self._tokenizer.name).write_text(draft.tokenizer, encoding="utf-8")
            elif self._tokenizer is not None:
                shutil.copyfile(self._tokenizer, path / self._tokenizer.name)
            write_manifest(path, replace(self._manifest, recipe=recipe))
        except OSError as failure:
            what = f"can't write: {failure.strerror}"
            raise StorageError(what, where=str(path), hint="free some space") from failure

    def finish(self, path: Path, fidelity: Fidelity) -> Path:
        """Write what the gate measured into a candidate's manifest."""
        write_manifest(path, replace(read_manifest(path, verify=False), fidelity=fidelity))
        return path

    @staticmethod
    def variant(path: Path, runtime: str, threads: int) -> Path:
        """Give a copy of a candidate that names another runtime or number of threads.

        Raises
        ------
        StorageError
            When there is no room.
        """
        copy = path.with_name(f"{path.name}@{runtime}-{threads}")
        manifest = replace(read_manifest(path, verify=False), runtime=runtime, threads=threads)
        try:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(path, copy)
        except OSError as failure:
            what = f"can't write: {failure.strerror or failure}"
            raise StorageError(what, where=str(copy), hint="free some space") from failure
        write_manifest(copy, manifest)
        return copy

    @staticmethod
    def size(path: Path) -> int:
        """Give the bytes of a bundle's files."""
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def candidates_folder(workdir: Path, name: str) -> Path:
    """Give the folder of this process's candidates; those of processes that died go.

    Several runs may share a working directory at once.
    """
    shared = workdir / f"candidates-{name}"
    clear_dead_asides(shared)
    return own_aside_of(shared)


def has_vnni() -> bool:
    """Say whether this CPU sums 8-bit products in 32 bits; assumed where it can't be told."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return True
    text = path.read_text(encoding="utf-8", errors="replace")
    return "vnni" in text or "asimddp" in text


def _find_tokenizer(spec: ProjectSpec, source: Source) -> Path:
    named = spec.model.tokenizer
    if named is not None:
        if not named.is_file():
            raise InvalidModel("no such file", where=str(named), hint="check model.tokenizer")
        return named
    for path in (source.folder / "tokenizer.json", source.folder / "vocab.txt"):
        if path.is_file():
            return path
    hint = "put tokenizer.json beside the model, or set model.tokenizer"
    raise InvalidModel("the source has no tokenizer", where=str(source.folder), hint=hint)
