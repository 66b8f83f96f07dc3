"""One run at a time on an output directory."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgewise.errors import StorageError

try:
    import fcntl
except ImportError:  # not a POSIX system: nobody is kept out there
    fcntl = None  # type: ignore[assignment]


_TRIES = 100


@contextlib.contextmanager
def alone_on(out: Path) -> Iterator[None]:
    """Keep other runs off an output directory until the block ends, or this process does.

    By a lock on an empty file beside it, which goes again, with the parents that were made for it
    and are empty. Where no file can be made there, nobody
    is kept out: what is written at the end then says why it can't be.

    Raises
    ------
    StorageError
        When another run is at work on it.
    """
    path = out.resolve().with_name(f".{out.resolve().name}.lock")
    absent = [parent for parent in path.parents if not parent.exists()]
    held = _hold(path, out)
    if held is None:
        yield
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(held)
        with contextlib.suppress(OSError):  # what was written there keeps them
            for parent in absent:
                parent.rmdir()


def check_place(out: Path, whole: str) -> None:
    """See that an output directory can be written, before what it is for is worked out.

    One that is whole is left to its writer: where nothing changed, nothing is written.

    Parameters
    ----------
    whole
        The file that says that a directory is whole.

    Raises
    ------
    StorageError
        When it is no directory, or can't be made or written.
    """
    hint = "choose another with --out"
    if out.exists() and not out.is_dir():
        raise StorageError("not a directory", where=str(out), hint=hint)
    if (out / whole).exists():
        return
    path = out.resolve()
    nearest = next(one for one in (path, *path.parents) if one.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".edgewise-", dir=nearest):
            pass
    except OSError as failure:
        what = f"can't write: {failure.strerror or failure}: {nearest}"
        raise StorageError(what, where=str(out), hint=hint) from failure


def _hold(path: Path, out: Path) -> int | None:
    if fcntl is None:
        return None
    for _ in range(_TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # another run has just removed the parent that it had made
            continue
        except OSError:
            return None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            os.close(held)
            what = "another run is at work on it"
            hint = "wait until that ends, or give another --out"
            raise StorageError(what, where=str(out), hint=hint) from taken
        except OSError:  # a file system without locks
            os.close(held)
            return None
        if _is_still(path, held):
            return held
        os.close(held)  # its holder removed it between our opening and locking it
    return None


def _is_still(path: Path, held: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(held)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
