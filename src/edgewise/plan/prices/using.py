"""Items of price tables that a spec names become its numbers."""

import difflib
from collections.abc import Sequence
from dataclasses import replace

from edgewise.errors import InvalidSpec
from edgewise.records import PlanBasis, PriceTable

_NAMED = (
    ("costs.edge.device", (("usd_per_device", "workload.device_usd"),)),
    ("costs.edge.country", (("grams_per_kwh", "costs.edge.grams_per_kwh"),)),
    ("costs.cloud.instance", (("usd_per_hour", "costs.cloud.usd_per_gpu_hour"),)),
    (
        "costs.cloud.model",
        tuple(
            (f"usd_per_million_{kind}_tokens", f"costs.cloud.usd_per_million_{kind}_tokens")
            for kind in ("input", "cached", "output")
        ),
    ),
)

_NONE_BY_DEFAULT = {"costs.edge.grams_per_kwh", "costs.cloud.usd_per_million_cached_tokens"}


def priced(basis: PlanBasis, tables: Sequence[PriceTable]) -> PlanBasis:
    """Fill in what the basis names of the tables, and note where each number is from.

    A number that the spec gives goes before a table's, and an earlier table before a later one. A 0
    is given where the default is none, or where the basis has sources and none for it.

    Raises
    ------
    InvalidSpec
        When no table has a named item.
    """
    # A file says which numbers it leaves out; a basis that is not of a file says nothing.
    left_out = set(basis.sources)
    for named, measures in _NAMED:
        item = _get(basis, named)
        if not item:
            continue
        found = _look_up(str(item), tables, named, measures[0][0])
        for measure, place in measures:
            own = _get(basis, place)
            given = (
                own is not None
                if place in _NONE_BY_DEFAULT
                else own or (left_out and place not in left_out)
            )
            if given or measure not in found:
                continue
            value, source = found[measure]
            basis = _put(basis, place, value)
            basis = replace(basis, sources={**basis.sources, place: source})
    return basis


def _look_up(
    item: str, tables: Sequence[PriceTable], named: str, needed: str
) -> dict[str, tuple[float, str]]:
    for table in tables:
        source = f"{item} in table {table.name} of {table.date}: {table.source}"
        found = {row.measure: (row.value, source) for row in table.rows if row.item == item}
        if needed in found:
            return found
    known = sorted({r.item for table in tables for r in table.rows if r.measure == needed})
    near = difflib.get_close_matches(item, known, n=3, cutoff=0.3)
    hint = f"did you mean `{'`, `'.join(near)}`?" if near else "`edgewise prices show` lists them"
    raise InvalidSpec(f"no price table has `{item}`", where=named, hint=hint)


def _get(basis: PlanBasis, place: str) -> object:
    owner: object = basis
    for part in place.split("."):
        owner = getattr(owner, part)
    return owner


def _put(basis: PlanBasis, place: str, value: float) -> PlanBasis:
    section, *rest = place.split(".")
    if section == "workload":
        return replace(basis, workload=replace(basis.workload, device_usd=value))
    tier, key = rest
    if tier == "edge":
        edge = replace(basis.costs.edge, **{key: value})  # type: ignore[arg-type]
        return replace(basis, costs=replace(basis.costs, edge=edge))
    cloud = replace(basis.costs.cloud, **{key: value})  # type: ignore[arg-type]
    return replace(basis, costs=replace(basis.costs, cloud=cloud))
