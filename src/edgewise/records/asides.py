"""Names to write under until a file or folder is whole; those of processes that died go again."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

_IS_POSIX = os.name == "posix"
_NAME = os.uname().nodename if _IS_POSIX else "here"
_HOST = hashlib.sha256(_NAME.encode()).hexdigest()[:8]
"""Another machine's processes can't be asked for: what they write is left alone."""

_ask: Callable[[int, int], object] = os.kill if _IS_POSIX else max
"""Sends no signal. Elsewhere that would end the process, so there each is taken to live."""


def aside_of(path: Path) -> Path:
    """Give a name beside a path that no other process or thread has, and none had."""
    return path.with_name(f"{_head(path)}{os.getpid()}.{os.urandom(4).hex()}.part")


def own_aside_of(path: Path) -> Path:
    """Give a name beside a path that no other process has: in this one the same each time."""
    return path.with_name(f"{_head(path)}{os.getpid()}.part")


def clear_dead_asides(path: Path) -> None:
    """Remove what processes of this machine left aside of a path when they were killed."""
    head = _head(path)
    with contextlib.suppress(OSError):  # the folder is not there, or may not be read
        for entry in os.scandir(path.parent):
            name = entry.name
            if not (name.startswith(head) and name.endswith(".part")):
                continue
            process = name.removeprefix(head).partition(".")[0]
            if process.isdecimal() and not _lives(int(process)):
                _remove(Path(entry.path))


def _head(path: Path) -> str:
    return f".{path.name}.{_HOST}."


def _lives(process: int) -> bool:
    """Say whether a process runs."""
    try:
        _ask(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        from shutil import rmtree  # noqa: PLC0415 - seldom needed, and devices start fast

        rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
