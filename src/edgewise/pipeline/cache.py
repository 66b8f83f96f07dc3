"""Results kept by the hash of all that went into them: the same question is never worked twice."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgewise import __version__
from edgewise.errors import InvalidRecord, StorageError
from edgewise.records import aside_of, clear_dead_asides, read_json, write_json
from edgewise.runtimes import hash_file

R = TypeVar("R")


class Cache:
    """A directory of records and folders named by stage and key.

    Made by `run_project`, one beside each project file. An entry is written aside and renamed,
    so an interrupted run leaves whole entries only, and the next run continues behind them.
    Several runs may share one at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.cached: list[str] = []

    def record(
        self, stage: str, parts: tuple[object, ...], kind: type[R], make: Callable[[], R]
    ) -> R:
        """Give the stage's record for these parts, making it when it is not there."""
        found = self.find(stage, parts, kind)
        if found is not None:
            return found
        try:
            made = make()
        except OSError as failure:
            raise storage_error(failure, self._path(stage, parts)) from failure
        return self.keep(stage, parts, made)

    def find(self, stage: str, parts: tuple[object, ...], kind: type[R]) -> R | None:
        """Give the stage's record for these parts; `None` when it is not there."""
        path = self._path(stage, parts)
        if not path.exists():
            return None
        try:
            found = read_json(kind, path)
        except InvalidRecord:
            path.unlink()
            return None
        self._note(self.cached, stage)
        return found

    def keep(self, stage: str, parts: tuple[object, ...], made: R) -> R:
        """Keep the stage's record for these parts, and give it back."""
        write_json(self._path(stage, parts), made)
        self._note(self.done, stage)
        return made

    def directory(
        self, stage: str, parts: tuple[object, ...], make: Callable[[Path], None]
    ) -> Path:
        """Give the stage's folder for these parts; `make` fills it when it is not there.

        Of runs that make the same at once, the first to end gives it to all.
        """
        path = self.folder / f"{stage}-{key_of(stage, parts)}"
        if path.is_dir():
            self._note(self.cached, stage)
            return path
        clear_dead_asides(path)
        aside = aside_of(path)
        try:
            aside.mkdir(parents=True)
            make(aside)
            _move_unless_there(aside, path)
        except OSError as failure:
            raise storage_error(failure, path) from failure
        finally:
            clear(aside)
        self._note(self.done, stage)
        return path

    def _path(self, stage: str, parts: tuple[object, ...]) -> Path:
        return self.folder / f"{stage}-{key_of(stage, parts)}.json"

    def _note(self, where: list[str], stage: str) -> None:
        if stage not in where:
            where.append(stage)


def key_of(stage: str, parts: tuple[object, ...]) -> str:
    """Hash a stage's name and all that its result depends on, this version too; 20 hex digits."""
    text = json.dumps([__version__, stage, [str(part) for part in parts]])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def hash_path(path: Path) -> str:
    """Hash a file, or a folder's files with their names, in hex.

    Raises
    ------
    StorageError
        When a file can't be read.
    """
    whole = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        whole.update(str(file.relative_to(path) if file != path else file.name).encode() + b"\0")
        whole.update(bytes.fromhex(hash_file(file)))
    return whole.hexdigest()


def _move_unless_there(aside: Path, path: Path) -> None:
    try:
        aside.replace(path)
    except OSError:
        if not path.is_dir():  # else another run has made the same meanwhile
            raise


def clear(folder: Path) -> None:
    """Remove a folder, also when ^C comes while it is removed."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def storage_error(failure: OSError, path: Path) -> StorageError:
    """Say that a path can't be written."""
    what = f"can't write: {failure.strerror or failure}"
    return StorageError(what, where=str(path), hint="free some space or pick another place")
