"""Results kept by the hash of all that went into them: the same question is never worked twice."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgewise import __version__
from edgewise.errors import InvalidRecord, StorageError
from edgewise.records import read_json, write_json

R = TypeVar("R")


class Cache:
    """A directory of records and folders named by stage and key.

    Made by `run_project`, one beside each project file. An entry is written aside and renamed,
    so an interrupted run leaves whole entries only, and the next run continues behind them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.cached: list[str] = []

    def record(
        self, stage: str, parts: tuple[object, ...], kind: type[R], make: Callable[[], R]
    ) -> R:
        """Give the stage's record for these parts, making it when it is not there."""
        path = self.folder / f"{stage}-{key_of(stage, parts)}.json"
        if path.exists():
            try:
                found = read_json(kind, path)
            except InvalidRecord:
                path.unlink()
            else:
                self._note(self.cached, stage)
                return found
        made = make()
        write_json(path, made)
        self._note(self.done, stage)
        return made

    def directory(
        self, stage: str, parts: tuple[object, ...], make: Callable[[Path], None]
    ) -> Path:
        """Give the stage's folder for these parts; `make` fills it when it is not there."""
        path = self.folder / f"{stage}-{key_of(stage, parts)}"
        if path.is_dir():
            self._note(self.cached, stage)
            return path
        aside = path.with_name(f".{path.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        try:
            aside.mkdir(parents=True)
            make(aside)
            aside.replace(path)
        except OSError as failure:
            raise _storage(failure, path) from failure
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self._note(self.done, stage)
        return path

    def _note(self, where: list[str], stage: str) -> None:
        if stage not in where:
            where.append(stage)


def key_of(stage: str, parts: tuple[object, ...]) -> str:
    """Hash a stage's name and all that its result depends on, this version too; 20 hex digits."""
    text = json.dumps([__version__, stage, [str(part) for part in parts]])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def hash_path(path: Path) -> str:
    """Hash a file, or a folder's files with their names, in hex."""
    whole = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        whole.update(str(file.relative_to(path) if file != path else file.name).encode() + b"\0")
        with file.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


def replace_directory(source: Path, target: Path) -> None:
    """Copy a folder beside `target` and swap it in, so no reader sees half of it."""
    aside = target.with_name(f".{target.name}.part")
    old = target.with_name(f".{target.name}.old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in (aside, old):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(source, aside)
        if target.exists():
            target.replace(old)
        aside.replace(target)
    except OSError as failure:
        raise _storage(failure, target) from failure
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _storage(failure: OSError, path: Path) -> StorageError:
    what = f"can't write: {failure.strerror or failure}"
    return StorageError(what, where=str(path), hint="free some space or pick another place")
