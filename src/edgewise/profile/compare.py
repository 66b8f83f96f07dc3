"""Bundles timed in turn on the same inputs, because absolute times change with the hour.

What else the machine does slows neighbours in time alike, so a ratio of theirs holds where two
profiles made one after the other would not.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import UsageError
from edgewise.profile.machine import describe_target
from edgewise.profile.measure import check_inputs, check_runtime
from edgewise.profile.spawn import Child, write_inputs
from edgewise.records import Comparison, Contender, Input, Progress, silent
from edgewise.runtimes import bundle_sha256, read_manifest

RUNNER = "edgewise.profile.runner"

_PER_ROUND = 8
_RESAMPLES = 2000
_CONFIDENCE = 0.95

Times = NDArray[np.float64]
"""Milliseconds of shape (bundles, rounds, inputs a round); the same input at the same place."""


def compare(
    bundles: Sequence[Path],
    inputs: Sequence[Input],
    *,
    threads: int = 1,
    rounds: int = 40,
    seed: int = 0,
    runtime: str = "",
    progress: Progress = silent,
) -> Comparison:
    """Time bundles against the first of them, in turn, one process each and one at work.

    A round gives each bundle the same few inputs; the order turns with the rounds.

    Parameters
    ----------
    bundles
        At least two; one may stand twice.
    inputs
        Natural ones. A round takes the next eight, from the start again where they end.
    rounds
        At least 2; the interval is over them.
    seed
        Of the resampling.
    runtime
        For all; by default each has the one that its manifest names.

    Raises
    ------
    InvalidData, InvalidModel, MissingExtra, UsageError
        As `measure`.
    """
    check_inputs(inputs)
    if len(bundles) < 2 or rounds < 2:
        what = f"{len(bundles)} bundle(s) in {rounds} round(s)"
        raise UsageError(what, where="compare", hint="give at least two bundles and two rounds")
    manifests = [read_manifest(bundle) for bundle in bundles]
    names = [check_runtime(runtime or one.runtime) for one in manifests]
    times_ms = _take_turns(bundles, inputs, rounds, (threads, runtime), progress)
    contenders = []
    for bundle, manifest, own_ms in zip(bundles, manifests, times_ms, strict=True):
        ratio, low, high = ratio_to_first(own_ms, times_ms[0], np.random.default_rng(seed))
        p50_ms, p95_ms = np.quantile(own_ms, [0.50, 0.95])
        contenders.append(
            Contender(
                bundle=str(bundle),
                bundle_sha256=bundle_sha256(manifest),
                p50_ms=float(p50_ms),
                p95_ms=float(p95_ms),
                ratio=ratio,
                ratio_low=low,
                ratio_high=high,
            )
        )
    return Comparison(
        target=describe_target(threads, names[0]),
        rounds=rounds,
        inputs_per_round=times_ms.shape[2],
        confidence=_CONFIDENCE,
        contenders=tuple(contenders),
    )


def ratio_to_first(
    own_ms: Times, first_ms: Times, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Give the ratio of two bundles' times and its 95 % interval by a bootstrap over rounds.

    Parameters
    ----------
    own_ms, first_ms : shape (rounds, inputs a round)
        Paired: the same input at the same place.

    Returns
    -------
    tuple of float
        The median over rounds of each round's median ratio; low; high.

    Notes
    -----
    Percentile bootstrap: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 13. Rounds are resampled whole, since what disturbs one input disturbs its neighbours.
    """
    by_round = np.median(own_ms / first_ms, axis=1)
    drawn = rng.integers(0, len(by_round), (_RESAMPLES, len(by_round)))
    medians = np.median(by_round[drawn], axis=1)
    low, high = np.quantile(medians, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return float(np.median(by_round)), float(low), float(high)


def turns(count: int, number: int) -> list[int]:
    """Give the order of a round: each bundle comes first in turn, and back to front every other."""
    order = [(number // 2 + i) % count for i in range(count)]
    return order[::-1] if number % 2 else order


def _take_turns(
    bundles: Sequence[Path],
    inputs: Sequence[Input],
    rounds: int,
    how: tuple[int, str],
    progress: Progress,
) -> Times:
    threads, runtime = how
    times_ms = np.zeros((len(bundles), rounds, min(_PER_ROUND, len(inputs))))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgewise-")))
        file = str(write_inputs(folder, inputs))
        children = []
        for bundle in bundles:
            request = {
                "bundle": str(bundle),
                "inputs": file,
                "threads": threads,
                "runtime": runtime,
            }
            children.append(stack.enter_context(Child(RUNNER, request)))
            children[-1].receive()
        for number in range(rounds):
            progress("compare", number, rounds)
            start = number * times_ms.shape[2]
            chosen = [(start + i) % len(inputs) for i in range(times_ms.shape[2])]
            for which in turns(len(bundles), number):
                children[which].send({"chosen": chosen})
                times_ms[which, number] = children[which].receive()["times_ms"]
        progress("compare", rounds, rounds)
    return times_ms
