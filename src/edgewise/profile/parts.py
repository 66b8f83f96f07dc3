"""Model files timed in turn in this process: how parts of one model compare."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgewise.records import Progress, silent
from edgewise.runtimes import find_runtime
from edgewise.runtimes.protocol import Tensors

_WARM_UP = 3


def time_in_turn(
    models: Sequence[Path],
    inputs: Tensors,
    *,
    threads: int = 1,
    rounds: int = 40,
    progress: Progress = silent,
) -> tuple[float, ...]:
    """Give each model's mean time in ms over the middle half of the rounds.

    A round runs each model once untimed, which brings back the caches that the others had, and
    once timed. The fastest and the slowest quarter are left out: what else a machine does is rare
    and large.

    Parameters
    ----------
    inputs
        Each model takes those that it has by name.
    """
    runtime = find_runtime("onnxruntime")
    sessions = [runtime.load(one, threads=threads) for one in models]
    for session in sessions * _WARM_UP:
        session.run(inputs)
    times_ms = np.zeros((rounds, len(sessions)))
    for number in range(rounds):
        progress("cuts", number, rounds)
        for which, session in enumerate(sessions):
            session.run(inputs)
            begun_s = time.perf_counter()
            session.run(inputs)
            times_ms[number, which] = (time.perf_counter() - begun_s) * 1000
    progress("cuts", rounds, rounds)
    for session in sessions:
        session.close()
    spare = rounds // 4
    middle = np.sort(times_ms, axis=0)[spare : rounds - spare]
    return tuple(float(one) for one in middle.mean(axis=0))
