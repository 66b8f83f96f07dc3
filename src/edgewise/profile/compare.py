"""Bundles timed in turn on the same inputs, because absolute times change with the hour.

What else the machine does slows neighbours in time alike, so a ratio of theirs holds where two
profiles made one after the other would not.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
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

_SITTINGS = 8
_PER_ROUND = 8
_RESAMPLES = 2000
_CONFIDENCE = 0.95

Times = NDArray[np.float64]
"""Milliseconds of shape (bundles, sittings, rounds, inputs a round), inputs in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A bundle and how it is to run. Made by who compares."""

    bundle: Path
    runtime: str = ""
    """By default the one that the manifest names."""
    threads: int = 1


def compare(
    entries: Sequence[Entry],
    inputs: Sequence[Input],
    *,
    rounds: int = 120,
    seed: int = 0,
    progress: Progress = silent,
) -> Comparison:
    """Time bundles against the first of them, in turn, one process each and one at work.

    A round gives each bundle the same few inputs; the order turns with the rounds. All processes
    are made anew a few times, because where a process happens to lie in memory makes it a percent
    or two faster or slower for as long as it lives.

    Parameters
    ----------
    entries
        At least two; a bundle may stand twice, by two runtimes or numbers of threads.
    inputs
        Natural ones. A round takes the next eight, from the start again where they end.
    rounds
        At least 2; rounded up to as many in each of the sittings, of which there are eight where
        there are so many rounds.
    seed
        Of the resampling.

    Raises
    ------
    InvalidData, InvalidModel, MissingExtra, UsageError
        As `measure`.
    """
    check_inputs(inputs)
    if len(entries) < 2 or rounds < 2:
        what = f"{len(entries)} bundle(s) in {rounds} round(s)"
        raise UsageError(what, where="compare", hint="give at least two bundles and two rounds")
    manifests = [read_manifest(entry.bundle) for entry in entries]
    names = [
        check_runtime(entry.runtime or manifest.runtime)
        for entry, manifest in zip(entries, manifests, strict=True)
    ]
    requests = [
        {"bundle": str(entry.bundle), "threads": entry.threads, "runtime": entry.runtime}
        for entry in entries
    ]
    times_ms = sit(RUNNER, requests, inputs, rounds, progress)
    contenders = []
    for i, (entry, own_ms) in enumerate(zip(entries, times_ms, strict=True)):
        ratio, low, high = ratio_to_first(own_ms, times_ms[0], np.random.default_rng(seed))
        p50_ms, p95_ms = np.quantile(own_ms, [0.50, 0.95])
        contenders.append(
            Contender(
                bundle=str(entry.bundle),
                bundle_sha256=bundle_sha256(manifests[i]),
                runtime=names[i],
                threads=entry.threads,
                p50_ms=float(p50_ms),
                p95_ms=float(p95_ms),
                ratio=ratio,
                ratio_low=low,
                ratio_high=high,
            )
        )
    _, sittings, rounds_each, per_round = times_ms.shape
    return Comparison(
        target=describe_target(entries[0].threads, names[0]),
        sittings=sittings,
        rounds=sittings * rounds_each,
        inputs_per_round=per_round,
        confidence=_CONFIDENCE,
        contenders=tuple(contenders),
    )


def ratio_to_first(
    own_ms: Times, first_ms: Times, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Give the ratio of two bundles' times and its 95 % interval.

    Parameters
    ----------
    own_ms, first_ms : shape (sittings, rounds, inputs a round)
        Paired: the same input at the same place.

    Returns
    -------
    tuple of float
        The median over all rounds of each round's median ratio; low; high.

    Notes
    -----
    Percentile bootstrap in two stages: sittings are drawn, then rounds in each. Rounds are drawn
    whole, since what disturbs one input disturbs its neighbours. Source: A. Davison and
    D. Hinkley, Bootstrap Methods and their Application, 1997, section 3.8. In simulation (its test)
    it held the true ratio 95 % of the time where processes differ by 2 %, 99 % where they do not.
    """
    by_round = np.median(own_ms / first_ms, axis=2)
    sittings, rounds = by_round.shape
    drawn = rng.integers(0, sittings, (_RESAMPLES, sittings, 1))
    medians = np.median(
        by_round[drawn, rng.integers(0, rounds, (_RESAMPLES, sittings, rounds))], axis=(1, 2)
    )
    low, high = np.quantile(medians, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return float(np.median(by_round)), float(low), float(high)


def turns(count: int, number: int) -> list[int]:
    """Give the order of a round: each bundle comes first in turn, and back to front every other."""
    order = [(number // 2 + i) % count for i in range(count)]
    return order[::-1] if number % 2 else order


def sit(
    runner: str,
    requests: Sequence[Mapping[str, object]],
    inputs: Sequence[Input],
    rounds: int,
    progress: Progress,
) -> Times:
    """Time one child a request in turn, all made anew at each sitting.

    Parameters
    ----------
    runner
        The child's module: it says `ready`, then times the inputs that each line chooses.
    requests
        What each child is asked; the inputs' file is added here.
    """
    sittings, per_round = min(_SITTINGS, rounds), min(_PER_ROUND, len(inputs))
    times_ms = np.zeros((len(requests), sittings, -(-rounds // sittings), per_round))
    total = sittings * times_ms.shape[2]
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        file = str(write_inputs(Path(folder), inputs))
        for sitting in range(sittings):
            with ExitStack() as stack:
                children = []
                for request in requests:
                    asked = {**request, "inputs": file}
                    children.append(stack.enter_context(Child(runner, asked)))
                    children[-1].receive()
                for number in range(times_ms.shape[2]):
                    done = sitting * times_ms.shape[2] + number
                    progress("compare", done, total)
                    chosen = [(done * per_round + i) % len(inputs) for i in range(per_round)]
                    for which in turns(len(requests), done):
                        children[which].send({"chosen": chosen})
                        times_ms[which, sitting, number] = children[which].receive()["times_ms"]
    progress("compare", total, total)
    return times_ms
