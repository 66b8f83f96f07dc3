"""`edgewise place`: where many workloads and models run."""

from collections.abc import Iterator
from pathlib import Path

import click

from edgewise.cli.numbers import FiniteRange
from edgewise.cli.show import print_json, say, table
from edgewise.records import Placement, PlacementPoint, encode, write_json
from edgewise.units import format_bytes, format_ms, format_usd

_CENT = 0.005


@click.command("place")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--seconds", type=FiniteRange(min=0.1), default=10.0, show_default=True)
@click.option(
    "--gap-share",
    type=FiniteRange(0.0, 1.0),
    default=1e-4,
    show_default=True,
    help="how far from the optimum it may end",
)
@click.option("--pareto", is_flag=True, help="also sweep cost against the other aims")
@click.option("--out", type=click.Path(path_type=Path), help="write placement.json there")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    file: Path, *, seconds: float, gap_share: float, pareto: bool, out: Path | None, as_json: bool
) -> int:
    """Place the workloads of FILE on its tiers and classes of device at the least cost.

    Exit code 3: no placement keeps to every constraint; what conflicts is said.
    """
    from edgewise.plan.placement import Effort, front, place  # noqa: PLC0415 - where it is used
    from edgewise.spec import load_placement  # noqa: PLC0415 - pydantic

    problem = load_placement(file)
    effort = Effort(seconds=seconds, gap_share=gap_share)
    placement = place(problem, effort=effort)
    points = front(problem, effort=effort) if pareto else ()
    if out is not None:
        write_json(out, placement)
    if as_json:
        shown = {key: value for key, value in encode(placement).items() if key != "schema_version"}
        if pareto:
            shown["pareto"] = [
                {key: value for key, value in encode(one).items() if key != "schema_version"}
                for one in points
            ]
        print_json(shown)
    else:
        for line in (*told(placement), *_swept(points)):
            say(line)
    return 0 if placement.feasible else 3


def told(placement: Placement) -> Iterator[str]:
    """Give a placement in words, for people."""
    yield from (f"check: {words}" for words in placement.warnings)
    if not placement.feasible:
        yield "Nothing is feasible."
        yield from placement.reasons
        if placement.conflict:
            yield "\nThese can't all be kept:"
            yield from (f"  {one.text}" for one in placement.conflict)
        if placement.relaxation:
            yield f"\nThe cheapest relaxation ({placement.relaxation_points:.3g} points):"
            yield from (f"  {one.text}" for one in placement.relaxation)
        return
    usd, gap = placement.usd_per_month or 0.0, placement.gap_share or 0.0
    yield f"{format_usd(usd)} a month; the optimum is at most {gap:.2%} less.\n"
    yield table(
        ("workload", "share", "way", "p95", "quality", "requests"),
        (
            (
                one.workload,
                f"{one.share:.1%}" if one.share else "stands in",
                _way(one.models, one.pools, one.far_share),
                format_ms(one.latency_p95_ms),
                "" if one.quality_low is None else f"≥ {one.quality_low:.3g}",
                format_usd(one.usd_per_month),
            )
            for one in placement.assignments
        ),
    )
    yield ""
    yield table(
        ("pool", "machines", "full", "memory", "", "a month"),
        (
            (
                one.pool,
                "elastic" if one.units is None else str(one.units),
                "" if one.utilization is None else f"{one.utilization:.0%}",
                format_bytes(one.memory_bytes),
                one.memory_origin.value,
                format_usd(one.usd_per_month),
            )
            for one in placement.pools
        ),
    )
    requests_usd = sum(one.usd_per_month for one in placement.assignments)
    rest_usd = usd - requests_usd - sum(one.usd_per_month for one in placement.pools)
    if rest_usd > _CENT:
        yield f"\n{format_usd(rest_usd)} a month more for tiers that are used"
    if placement.bindings:
        yield "\nWhat binds:"
    for one in placement.bindings:
        saves = one.saves_usd_per_month
        worth = "" if saves is None else f"; without it {format_usd(saves)} less a month"
        yield f"  {one.constraint.text}: {one.text}{worth}"


def _way(models: tuple[str, ...], pools: tuple[str, ...], far_share: float) -> str:
    legs = [f"{model} on {pool}" for model, pool in zip(models, pools, strict=True)]
    return legs[0] if len(legs) == 1 else f"{legs[0]}, {far_share:.0%} on to {legs[1]}"


def _swept(points: tuple[PlacementPoint, ...]) -> Iterator[str]:
    if points:
        yield "\nNone of these beats another in everything:"
        yield table(
            ("a month", "energy", "p95 without queues", "quality", "exposed"),
            (
                (
                    format_usd(one.usd_per_month),
                    f"{one.joules_per_month / 3.6e6:.3g} kWh",
                    format_ms(one.latency_p95_ms),
                    f"≥ {1.0 - one.quality_loss:.3g}",
                    f"{one.exposed_share:.1%}",
                )
                for one in points
            ),
        )
