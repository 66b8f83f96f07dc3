"""Whether a model fits in so much memory: a fresh process that is ended when it takes more.

Resident memory is watched rather than limited by the kernel. RLIMIT_AS and RLIMIT_DATA count
address space, of which runtimes reserve far more than they touch; a control group does not count
the pages of shared libraries that another process brought in first, and may only be made by root.
"""

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from edgewise.errors import EdgewiseError, InvalidModel, UsageError
from edgewise.profile.child import peak_memory_bytes
from edgewise.profile.measure import PROBE, check_inputs, check_runtime
from edgewise.profile.spawn import Child, write_inputs
from edgewise.records import Input, MemoryLimit
from edgewise.runtimes import read_manifest
from edgewise.units import format_bytes

_EVERY_S = 0.002
_KILLED = -9
_HOW = f"resident memory (VmHWM) watched every {_EVERY_S * 1000:.0f} ms, the process ended above"


class _Watch:
    """Reads a child's peak of memory until it ends, and ends it above a limit."""

    def __init__(self, child: Child, limit_bytes: int) -> None:
        self._child = child
        self._limit_bytes = limit_bytes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgewise-memory", daemon=True)
        self.peak_bytes = 0
        self.ended_it = False

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def note(self, peak_bytes: int) -> None:
        """Take a reading, of the watch's own or of the child's last word."""
        self.peak_bytes = max(self.peak_bytes, peak_bytes)

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.note(peak_memory_bytes(self._child.pid))
            if self.peak_bytes > self._limit_bytes:
                self.ended_it = True
                self._child.kill()
                return


def hold(
    bundle: Path,
    inputs: Sequence[Input],
    limit_bytes: int,
    *,
    threads: int = 1,
    runtime: str = "",
) -> MemoryLimit:
    """Answer inputs one at a time in a fresh process that may not take more than a limit.

    Parameters
    ----------
    limit_bytes
        Of resident memory: Python, runtime, libraries and model together.

    Returns
    -------
    MemoryLimit
        That it does not fit is an answer, also when the kernel ended the process.

    Raises
    ------
    EdgewiseError
        As `check_limit` and `measure`.
    """
    check_inputs(inputs)
    check_limit(limit_bytes)
    check_runtime(runtime or read_manifest(bundle).runtime)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        request = {
            "bundle": str(bundle),
            "inputs": str(write_inputs(Path(folder), inputs)),
            "threads": threads,
            "runtime": runtime,
            "repeats": 1,
            "batches": [],
        }
        with Child(PROBE, request) as child, _Watch(child, limit_bytes) as watch:
            ended = _ended(child, watch)
    fits = not ended and watch.peak_bytes <= limit_bytes
    if not ended:
        ended = f"answered {len(inputs)} inputs one at a time"
    return MemoryLimit(
        limit_bytes=limit_bytes,
        fits=fits,
        how=_HOW,
        happened=f"{ended}, peak {format_bytes(watch.peak_bytes)}",
        peak_memory_bytes=watch.peak_bytes,
    )


def check_limit(limit_bytes: int) -> None:
    """See that a process can be held to a limit here.

    Raises
    ------
    UsageError
        When the limit is below 1 byte.
    EdgewiseError
        When the system does not tell a process's resident memory.
    """
    if limit_bytes < 1:
        what = f"a limit of {limit_bytes} bytes"
        raise UsageError(what, where="memory", hint="give a size such as 256MiB")
    if not peak_memory_bytes():
        what = "this system does not tell a process's resident memory"
        raise EdgewiseError(what, where="memory", hint="measure on Linux")


def _ended(child: Child, watch: _Watch) -> str:
    """Give how the process was ended for its memory; empty when it did its work."""
    doing = "starting and loading"
    try:
        child.receive()
        doing = "answering"
        watch.note(int(child.receive()["peak_memory_bytes"]))
    except InvalidModel:
        if watch.ended_it:
            return f"ended above the limit while {doing}"
        if child.exit_code == _KILLED:
            return f"killed by the system while {doing}, as it does when memory is short"
        raise
    return ""
