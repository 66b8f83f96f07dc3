"""Races of bundles in turn, each kept by its content like every other stage."""

from collections.abc import Sequence

from edgewise.optimize import Lane, Race
from edgewise.pipeline.cache import Cache
from edgewise.profile import Entry, compare
from edgewise.records import Comparison, Input, Progress
from edgewise.runtimes import bundle_sha256, read_manifest

_ROUNDS = 48


def make_race(
    cache: Cache, parts: tuple[object, ...], most_inputs: int, progress: Progress
) -> Race:
    """Give what times lanes in turn, once for each question.

    Parameters
    ----------
    parts
        What the outcome depends on besides the lanes: data and target above all.
    most_inputs
        So many of the inputs are timed.
    """

    def race(lanes: Sequence[Lane], inputs: Sequence[Input]) -> Comparison:
        entries = [
            Entry(bundle=one.bundle, runtime=one.runtime, threads=one.threads) for one in lanes
        ]
        hashes = [
            (bundle_sha256(read_manifest(one.bundle)), one.runtime, one.threads) for one in lanes
        ]
        chosen = inputs[:most_inputs]
        return cache.record(
            "race",
            (*parts, hashes, len(chosen)),
            Comparison,
            lambda: compare(entries, chosen, rounds=_ROUNDS, progress=progress),
        )

    return race
