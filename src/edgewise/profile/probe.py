"""The child of `measure`: opens a bundle in a fresh process, answers, and says what it took.

`python -m edgewise.profile.probe REQUEST`, a request in JSON; one JSON line when the first answer
is there, one at the end. It imports what a device imports and nothing more.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

from edgewise.profile.child import (
    Request,
    Say,
    answer,
    end_with_parent,
    open_asked,
    own_stdout,
    peak_memory_bytes,
    read_inputs,
)
from edgewise.profile.energy import joules_between, read_counters
from edgewise.runtimes import LocalModel

_WARM_UP = 10
_FEWEST_BATCHES = 5
_MOST_BATCHES = 50


def measure_once(request: Request, say: Say) -> None:
    """Answer the inputs `repeats` times one by one, then in each size of `batches`."""
    inputs, repeats = read_inputs(request), int(request["repeats"])
    started_s = time.perf_counter()
    model = open_asked(request)
    load_ms = (time.perf_counter() - started_s) * 1000
    model.work(inputs[:1])
    say({"first": True})
    for one in inputs[: _WARM_UP if repeats else 0]:
        model.work([one])
    times_ms: list[float] = []
    counters = read_counters()
    for _ in range(repeats):
        for one in inputs:
            begun_s = time.perf_counter()
            model.work([one])
            times_ms.append((time.perf_counter() - begun_s) * 1000)
    joules, how = joules_between(counters, read_counters())
    found = {
        "load_ms": load_ms,
        "times_ms": times_ms,
        "peak_memory_bytes": peak_memory_bytes(),
        "joules": joules,
        "energy_how": how,
        "batches": [_time_batches(model, inputs, size) for size in sorted(request["batches"])],
        "lengths": [model.length(one) for one in inputs] if repeats else [],
    }
    model.close()
    say(found)


def cut_batches(n: int, size: int) -> list[list[int]]:
    """Cut `n` inputs, from the start again where they end, into whole batches of their indices."""
    count = min(max(-(-n // size), _FEWEST_BATCHES), _MOST_BATCHES)
    return [[(start + i) % n for i in range(size)] for start in range(0, count * size, size)]


def _time_batches(
    model: LocalModel, inputs: Sequence[dict[str, Any]], size: int
) -> dict[str, object]:
    batches = [[inputs[i] for i in chosen] for chosen in cut_batches(len(inputs), size)]
    model.work(batches[0], batch_size=size)
    times_ms = []
    for batch in batches:
        begun_s = time.perf_counter()
        model.work(batch, batch_size=size)
        times_ms.append((time.perf_counter() - begun_s) * 1000)
    return {"size": size, "times_ms": times_ms, "peak_memory_bytes": peak_memory_bytes()}


if __name__ == "__main__":
    end_with_parent()
    raise SystemExit(answer(measure_once, sys.argv[1], own_stdout()))
