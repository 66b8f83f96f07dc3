"""The child of `measure`: opens a bundle in a fresh process, answers, and says what it took.

`python -m edgewise.profile.probe BUNDLE INPUTS.json THREADS ROUNDS`; one JSON line when the first
answer is there, one at the end. It imports what a device imports and nothing more.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from edgewise.errors import EdgewiseError
from edgewise.runtimes import open_bundle


def main(arguments: list[str]) -> int:
    """Measure and print; an `EdgewiseError` is passed on as JSON."""
    try:
        return _measure(
            Path(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
        )
    except EdgewiseError as failure:
        error = {"what": failure.what, "where": failure.where, "hint": failure.hint}
        _say({"error": error, "kind": type(failure).__name__})
        return 1


def peak_memory_bytes() -> int:
    """Read this process's VmHWM: `ru_maxrss` is inherited across exec and would lie."""
    for line in (
        Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    ):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _measure(bundle: Path, file: Path, threads: int, rounds: int) -> int:
    inputs: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    started = time.perf_counter()
    model = open_bundle(bundle, threads=threads)
    load_ms = (time.perf_counter() - started) * 1000
    model.predict(inputs[0])
    _say({"first": True})
    samples: list[tuple[int, float]] = []
    for one in inputs[: 10 if rounds else 0]:
        model.predict(one)
    for _ in range(rounds):
        for one in inputs:
            begun = time.perf_counter()
            model.predict(one)
            samples.append((model.length(one), (time.perf_counter() - begun) * 1000))
    _say({"load_ms": load_ms, "samples": samples, "peak_memory_bytes": peak_memory_bytes()})
    return 0


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
