"""What people have to look after for each option: counts in a table, never in a weight."""

from collections.abc import Mapping
from dataclasses import fields

from edgewise.records import Complexity, Upkeep

_OWN = {
    "edge": Upkeep(artifact_kinds=2, rollouts_per_month=1, on_call_surface=1),
    "cloud": Upkeep(artifact_kinds=0, rollouts_per_month=0, on_call_surface=1),
    "hybrid": Upkeep(artifact_kinds=3, rollouts_per_month=1, on_call_surface=2),
}
"""A bundle and an agent on devices; a policy besides where both answer; a machine a tier."""


def complexity(
    options: tuple[str, ...], updates_per_month: float, given: Mapping[str, Upkeep]
) -> tuple[Complexity, ...]:
    """Give the counts of each option: the plan's own, but for those that the spec gives.

    Devices are rolled out to as often as `costs.edge.updates_per_month` says, if it does.
    """
    return tuple(_row(option, updates_per_month, given.get(option, Upkeep())) for option in options)


def _row(option: str, updates_per_month: float, given: Upkeep) -> Complexity:
    own = {one.name: getattr(_OWN[option], one.name) for one in fields(Upkeep)}
    if updates_per_month and option != "cloud":
        own["rollouts_per_month"] = updates_per_month
    said = {one.name: getattr(given, one.name) for one in fields(Upkeep)}
    said = {name: value for name, value in said.items() if value is not None}
    return Complexity(option=option, **{**own, **said}, origin="given" if said else "assumed")
