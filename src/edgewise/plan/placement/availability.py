"""Ways that stand in for each other: which sets of them reach a target."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

Fate = frozenset[str]
"""The tiers that must all be up for a way to be up."""


def reached(fates: Sequence[Fate], needs: int, up_share: Mapping[str, float]) -> float:
    """Give the share of the time in which at least `needs` of the ways are up.

    Tiers fail independently of each other; two ways over one tier fail together. Exact, by going
    through which tiers are up.
    """
    tiers = sorted({tier for fate in fates for tier in fate})
    total = 0.0
    for states in itertools.product((True, False), repeat=len(tiers)):
        up = {tier for tier, is_up in zip(tiers, states, strict=True) if is_up}
        if sum(fate <= up for fate in fates) < needs:
            continue
        weight = 1.0
        for tier, is_up in zip(tiers, states, strict=True):
            weight *= up_share[tier] if is_up else 1.0 - up_share[tier]
        total += weight
    return total


def meets(found: float, target: float) -> bool:
    """Say whether an availability reaches a target, up to rounding."""
    return found >= target - 1e-12


def falling_short(
    fates: Sequence[Fate], needs: int, up_share: Mapping[str, float], target: float
) -> Iterator[tuple[frozenset[Fate], float]]:
    """Give each set of ways that misses the target, with what it reaches.

    More ways never reach less, so a choice reaches the target exactly where it has, for each such
    set, a way outside it.
    """
    for size in range(len(fates) + 1):
        for chosen in itertools.combinations(fates, size):
            found = reached(chosen, needs, up_share)
            if not meets(found, target):
                yield frozenset(chosen), found


def largest(short: Sequence[tuple[frozenset[Fate], float]]) -> list[frozenset[Fate]]:
    """Leave the sets that are part of no other: they ask for all that the others ask."""
    sets = [one for one, _ in short]
    return [one for one in sets if not any(one < other for other in sets)]
