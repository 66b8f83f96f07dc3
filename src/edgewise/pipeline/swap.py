"""A run directory takes the place of the one before in one step, and what is not ours stays."""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from edgewise.errors import StorageError
from edgewise.pipeline.cache import clear, storage_error

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
_FIXED = (errno.EBUSY, errno.EXDEV)


def replace_run(out: Path, parts: Sequence[str], fill: Callable[[Path], None]) -> None:
    """Fill a directory aside with parts and let it take the place of `out`.

    A reader finds the old run or the new one, and a kill at any moment leaves one of them. Files
    beside the parts, such as the decision log, are kept.

    Where the directory can't be exchanged (it is a mount point or the working directory, holds
    folders of others, or is no run yet), its parts are moved one by one, the last of `parts`
    taken out first and put in last: a kill in between leaves a run without it, and all else
    puts back what was there.

    Parameters
    ----------
    parts
        The names that `fill` may write, and that go where it does not; the last one, which it
        always writes, says that the run is whole.

    Raises
    ------
    StorageError
        When it can't be written; `out` is as it was.
    """
    out = out.resolve()
    aside, old = out.parent / f".{out.name}.part", out.parent / f".{out.name}.old"
    try:
        if old.is_dir() and not out.exists():
            old.replace(out)
        if _may_exchange(out, parts):
            try:
                _exchange_whole(out, parts, fill, aside, old)
            except OSError as failure:
                if failure.errno not in _FIXED:
                    raise
                _move_parts(out, parts, fill)
        else:
            _move_parts(out, parts, fill)
    except OSError as failure:
        raise storage_error(failure, out) from failure
    except StorageError as failure:
        raise StorageError(failure.what, where=str(out), hint=failure.hint) from failure
    finally:
        clear_asides(out)


def clear_asides(out: Path) -> None:
    """Remove what a killed publication left; an old run that nothing replaced yet stays."""
    out = out.resolve()
    clear(out.parent / f".{out.name}.part")
    if out.exists():
        for old in (out.parent / f".{out.name}.old", out / ".run.part", out / ".run.old"):
            clear(old)


def _may_exchange(out: Path, parts: Sequence[str]) -> bool:
    if not out.exists():
        return True
    others = [path for path in out.iterdir() if path.name not in parts]
    return (
        (out / parts[-1]).is_file()
        and all(path.is_file() and not path.is_symlink() for path in others)
        and not out.is_mount()
        and not Path.cwd().is_relative_to(out)
        and os.access(out.parent, os.W_OK)
    )


def _exchange_whole(
    out: Path, parts: Sequence[str], fill: Callable[[Path], None], aside: Path, old: Path
) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    fill(aside)
    if not out.exists():
        aside.replace(out)
        return
    others = {path.name for path in out.iterdir() if path.name not in parts}
    for name in others:
        _link(out / name, aside / name)
    shutil.rmtree(old, ignore_errors=True)
    _exchange(aside, out, old)
    before = aside if aside.exists() else old
    for path in before.iterdir():
        target = out / path.name
        came = path.name in others and (not target.exists() or path.samefile(target))
        if path.name not in parts and not came:
            path.replace(target)


def _link(source: Path, target: Path) -> None:
    """Let a file have both names, so that whoever has it open goes on writing to it."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _exchange(one: Path, other: Path, spare: Path) -> None:
    """Exchange two directories in one step; in two, by way of `spare`, where there is no such."""
    rename = None
    if sys.platform == "linux":
        rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
        if rename(*paths, _RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _UNKNOWN:
            raise OSError(code, os.strerror(code), str(other))
    exchange_by_spare(one, other, spare)


def exchange_by_spare(one: Path, other: Path, spare: Path) -> None:
    """Put `one` in the place of `other` by two renames; `other` is in `spare` then."""
    other.replace(spare)
    try:
        one.replace(other)
    except BaseException:
        spare.replace(other)
        raise


def _move_parts(out: Path, parts: Sequence[str], fill: Callable[[Path], None]) -> None:
    aside, old = out / ".run.part", out / ".run.old"
    moved: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        moved.append((source, target))
        source.replace(target)

    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        fill(aside)
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir()
        for name in reversed(parts):
            if (out / name).exists():
                move(out / name, old / name)
        for name in parts:
            if (aside / name).exists():
                move(aside / name, out / name)
    except BaseException:
        for source, target in reversed(moved):
            with suppress(OSError):
                target.replace(source)
        raise
    finally:
        clear(aside)
        clear(old)
