"""What the child processes share: a model, messages on stdout, an end with the parent."""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgewise.errors import EdgewiseError
from edgewise.runtimes import LocalModel, open_bundle

Request = Mapping[str, Any]
"""What the parent asks: `bundle`, `inputs` (a file), `threads`, `runtime`, and whatever else."""

Say = Callable[[Mapping[str, Any]], None]


def answer(work: Callable[[Request, Say], None], request: str, say: Say) -> int:
    """Do what a request in JSON asks; an `EdgewiseError` is passed on as its parts."""
    try:
        work(json.loads(request), say)
    except EdgewiseError as failure:
        error = {"what": failure.what, "where": failure.where, "hint": failure.hint}
        say({"error": error, "kind": type(failure).__name__})
        return 1
    return 0


def open_asked(request: Request) -> LocalModel:
    """Open the bundle that a request names, by another runtime than its own where it names one."""
    folder, threads, runtime = Path(request["bundle"]), request["threads"], request["runtime"]
    return open_bundle(folder, threads=threads, runtime=runtime)


def read_inputs(request: Request) -> list[dict[str, Any]]:
    """Read the inputs that the parent wrote."""
    found: list[dict[str, Any]] = json.loads(Path(request["inputs"]).read_text(encoding="utf-8"))
    return found


def read_peak_memory(status: str) -> int:
    """Read VmHWM in bytes from the text of `/proc/PID/status`; 0 where the system has none.

    `ru_maxrss` is inherited across exec and would tell the parent's.
    """
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def peak_memory_bytes(pid: int | str = "self") -> int:
    """Give the most memory of a process that was resident at once; 0 where nobody can tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return read_peak_memory(status)


def own_stdout() -> Say:
    """Keep stdout for the messages: what native libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(value: Mapping[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    return say


def end_with_parent() -> None:
    """End this process when its stdin closes, as it does when the parent is gone, killed or not."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="edgewise-parent", daemon=True).start()
