"""The child of `measure`: opens a bundle in a fresh process, answers, and says what it took.

`python -m edgewise.profile.probe BUNDLE INPUTS.json THREADS REPEATS`; one JSON line when the first
answer is there, one at the end. It imports what a device imports and nothing more.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgewise.errors import EdgewiseError
from edgewise.runtimes import open_bundle

_WARM_UP = 10

Say = Callable[[dict[str, Any]], None]


def main(arguments: list[str], say: Say) -> int:
    """Measure and say; an `EdgewiseError` is passed on as its parts."""
    bundle, inputs, threads, repeats = arguments
    try:
        _measure(Path(bundle), Path(inputs), int(threads), int(repeats), say)
    except EdgewiseError as failure:
        error = {"what": failure.what, "where": failure.where, "hint": failure.hint}
        say({"error": error, "kind": type(failure).__name__})
        return 1
    return 0


def read_peak_memory(status: str) -> int:
    """Read VmHWM in bytes from `/proc/self/status`; 0 where the system has none.

    `ru_maxrss` is inherited across exec and would tell the parent's.
    """
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _measure(bundle: Path, file: Path, threads: int, repeats: int, say: Say) -> None:
    inputs: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    started_s = time.perf_counter()
    model = open_bundle(bundle, threads=threads)
    load_ms = (time.perf_counter() - started_s) * 1000
    model.predict(inputs[0])
    say({"first": True})
    for one in inputs[: _WARM_UP if repeats else 0]:
        model.predict(one)
    times_ms: list[float] = []
    for _ in range(repeats):
        for one in inputs:
            begun_s = time.perf_counter()
            model.predict(one)
            times_ms.append((time.perf_counter() - begun_s) * 1000)
    peak_memory_bytes = read_peak_memory(_status())
    lengths = [model.length(one) for one in inputs] if repeats else []
    model.close()
    say(
        {
            "load_ms": load_ms,
            "lengths": lengths,
            "times_ms": times_ms,
            "peak_memory_bytes": peak_memory_bytes,
        }
    )


def _status() -> str:
    path = Path("/proc/self/status")
    return path.read_text(encoding="ascii", errors="replace") if path.exists() else ""


def own_stdout() -> Say:
    """Keep stdout for the answers: what native libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    return say


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], own_stdout()))
