"""The child of `compare_models`: keeps a model file open and runs the tensors it is told to.

`python -m edgewise.profile.tensor_runner REQUEST`, a request in JSON. Lines on stdin name inputs by
their place; each gets one line with their times and the peak of memory so far. It ends with its
stdin.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from edgewise.profile.child import (
    Request,
    Say,
    answer,
    own_stdout,
    peak_memory_bytes,
    read_inputs,
)
from edgewise.runtimes import find_runtime

_WARM_UP = 3


def run(request: Request, say: Say) -> None:
    """Run what is asked until nobody asks any more."""
    model = find_runtime(request["runtime"]).load(
        Path(request["model"]), threads=int(request["threads"])
    )
    inputs = [
        {name: np.load(file, allow_pickle=False) for name, file in one.items()}
        for one in read_inputs(request)
    ]
    for one in inputs[:_WARM_UP]:
        model.run(one)
    say({"ready": True})
    for line in sys.stdin:
        chosen = [inputs[i] for i in json.loads(line)["chosen"]]
        # The other models had the caches meanwhile: one run that is not timed brings them back.
        model.run(chosen[0])
        times_ms = []
        for one in chosen:
            begun_s = time.perf_counter()
            model.run(one)
            times_ms.append((time.perf_counter() - begun_s) * 1000)
        say({"times_ms": times_ms, "peak_memory_bytes": peak_memory_bytes()})
    model.close()


if __name__ == "__main__":
    raise SystemExit(answer(run, sys.argv[1], own_stdout()))
