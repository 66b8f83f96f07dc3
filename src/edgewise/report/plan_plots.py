"""The plots of a plan: cost by volume and over time, tornado, trade-offs, latency, decisions."""

from collections.abc import Sequence

from edgewise.records import CostPoint, Plan, Tradeoff
from edgewise.report.chart import Bubble, Chart, Level, Line, Mark, draw
from edgewise.report.decision_map import draw_decisions
from edgewise.report.layout import NARROW, WIDE, Layout
from edgewise.report.tornado import draw_tornado
from edgewise.units import format_ms, format_usd

_STYLES = {"edge": "s1", "cloud": "s2", "hybrid": "s3"}


def plan_plots(plan: Plan) -> list[tuple[str, str]]:
    """Give (title, SVG in both layouts) of each plot that the plan has something for."""
    pairs = zip(plan_charts(plan, WIDE), plan_charts(plan, NARROW), strict=True)
    return [(title, wide + narrow) for (title, wide), (_, narrow) in pairs]


def plan_charts(plan: Plan, layout: Layout = WIDE) -> list[tuple[str, str]]:
    """Give (title, SVG) of each plot that the plan has something for."""
    charts = [
        ("Cost by volume", cost_by_volume(plan, layout)),
        ("Cost over time", cost_over_time(plan, layout)),
        ("What moves the choice", tornado(plan, layout)),
        ("Trade-offs", trade_offs(plan, layout)),
        ("How late answers are", latency_shares(plan, layout)),
        ("Decisions by confidence", draw_decisions(plan.decisions, plan.threshold, layout)),
    ]
    return [chart for chart in charts if chart[1]]


def cost_by_volume(plan: Plan, layout: Layout = WIDE) -> str:
    """Draw the monthly cost of each option by volume, with the break-even."""
    curve = plan.curve
    if not curve:
        return ""
    lines = [Line(name="edge", points=[(p.requests_per_month, p.edge) for p in curve], style="s1")]
    for name, style in (("cloud", "s2"), ("hybrid", "s3")):
        points = [(p.requests_per_month, getattr(p, name)) for p in curve]
        if all(value is not None for _, value in points):
            lines.append(Line(name=name, points=points, style=style))
    asked = plan.basis.workload.requests_per_month if plan.basis is not None else 0.0
    marks = [Mark(x=max(asked, 1.0), note="this workload")]
    crossing = plan.break_even_requests_per_month
    if crossing:
        marks.append(Mark(x=crossing, note=f"break-even {short(crossing)}"))
    return draw(
        Chart(
            title="Cost by volume",
            description="US dollars a month by requests a month, both on logarithmic scales.",
            x_label="requests a month",
            y_label="USD a month",
            lines=[_positive(line) for line in lines],
            marks=marks,
            log_x=True,
            log_y=True,
            x_format=short,
            y_format=short,
        ),
        layout,
    )


def cost_over_time(plan: Plan, layout: Layout = WIDE) -> str:
    """Draw what each option has cost up to each month, at today's value."""
    if not plan.cash:
        return ""
    lines = [
        Line(
            name=option,
            points=[(float(one.month), one.discounted_total_usd[option]) for one in plan.cash],
            style=_STYLES[option],
        )
        for option in plan.cash[0].usd
    ]
    marks = []
    payback = plan.flip.payback_months if plan.flip is not None else None
    if payback is not None and 0 < payback <= plan.cash[-1].month:
        marks = [Mark(x=payback, note=f"paid back after {payback:.3g} months")]
    return draw(
        Chart(
            title="Cost over time",
            description="US dollars paid up to each month, at today's value.",
            x_label="months",
            y_label="USD in all",
            lines=lines,
            marks=marks,
            y_format=short,
        ),
        layout,
    )


def tornado(plan: Plan, layout: Layout = WIDE) -> str:
    """Draw what each uncertain number does to the lead of the cheapest option."""
    found = plan.certainty
    if found is None or not found.swings:
        return ""
    names = [one.option for one in found.spreads]
    lead = f"{names[0]} less the next best" if len(names) > 1 else f"cost of {names[0]}"
    return draw_tornado(found.swings, lead, layout)


def trade_offs(plan: Plan, layout: Layout = WIDE) -> str:
    """Draw cost against quality lost: dots of the options, their area the share that leaves.

    Against p95 where fewer than two options have a quality to compare.
    """
    by_quality = sum(one.quality_loss is not None for one in plan.tradeoffs) > 1
    known = [
        (one, x, one.usd_per_month)
        for one in plan.tradeoffs
        if (x := one.quality_loss if by_quality else one.latency_p95_ms) is not None
        and one.usd_per_month is not None
    ]
    if len(known) < 2:
        return ""
    front = sorted((x, usd) for one, x, usd in known if not one.beaten_by)
    bubbles = [
        Bubble(
            x=x,
            y=usd,
            radius=4 + 12 * one.exposed_share**0.5,
            note=_all(one),
            style=_style(one),
            name=one.option.removeprefix("hybrid at "),
        )
        for one, x, usd in known
    ]
    lines = [Line(name="none beats", points=front, style="front")] if front else []
    return draw(
        Chart(
            title="Trade-offs",
            description="What each option costs and loses; a dot's area is the share that leaves "
            "the device. The line joins options that no other beats in all that is weighed.",
            x_label="quality lost against the cloud" if by_quality else "p95, ms",
            y_label="USD a month; a percentage is a share deferred"
            if len(known) > len(_STYLES)
            else "USD a month",
            lines=lines,
            bubbles=bubbles,
            x_format=("{:.1%}" if by_quality else "{:.3g}").format,
            y_format=short,
        ),
        layout,
    )


def latency_shares(plan: Plan, layout: Layout = WIDE) -> str:
    """Draw which share of each option's answers is there after which time."""
    if not plan.latency:
        return ""
    lines = [
        Line(
            name=one.option,
            points=[(ms, share) for share, ms in one.points],
            style=_STYLES[one.option],
        )
        for one in plan.latency
    ]
    if any(x <= 0 for line in lines for x, _ in line.points):
        return ""
    asked = plan.basis.objective.latency_p95_ms if plan.basis is not None else None
    return draw(
        Chart(
            title="How late answers are",
            description=f"Share of the answers within a time. {latency_origins(plan)}",
            x_label="ms, on a logarithmic scale",
            y_label=f"share of the answers; {_origins(plan)}",
            lines=lines,
            marks=[] if asked is None else [Mark(x=asked, note=f"asked: {format_ms(asked)}")],
            levels=[Level(y=0.95, note="p95")],
            log_x=True,
            x_format="{:g}".format,
            y_format="{:.0%}".format,
        ),
        layout,
    )


def latency_origins(plan: Plan) -> str:
    """Say in sentences where the curves of latency come from."""
    by_origin: dict[str, list[str]] = {}
    for one in plan.latency:
        by_origin.setdefault(one.origin, []).append(one.option)
    replay, said = plan.replay, []
    if "simulated" in by_origin and replay is not None:
        gaps = "" if replay.gap_cv2 is None else f", whose gaps have a CV² of {replay.gap_cv2:.3g}"
        said.append(f"Simulated: {replay.requests:,} requests of {replay.trace}{gaps}.")
    if "measured" in by_origin:
        said.append(f"Measured one at a time: {', '.join(by_origin['measured'])}.")
    if "assumed" in by_origin:
        said.append(f"Assumed lognormal through p50 and p95: {', '.join(by_origin['assumed'])}.")
    if {"measured", "assumed"} & by_origin.keys():
        said.append("No queue in these: as if requests came evenly, a CV² of 0.")
    return " ".join(said)


def _origins(plan: Plan) -> str:
    origins = [one.origin for one in plan.latency]
    if len(set(origins)) == 1:
        return f"all {origins[0]}"
    return ", ".join(f"{one.option} {one.origin}" for one in plan.latency)


def _all(one: Tradeoff) -> str:
    words = [one.option, f"{format_usd(one.usd_per_month or 0.0)} a month"]
    if one.latency_p95_ms is not None:
        words.append(f"p95 {format_ms(one.latency_p95_ms)}")
    if one.quality_loss is not None:
        words.append(f"loses {one.quality_loss:.1%}")
    if one.joules_per_request is not None:
        words.append(f"{one.joules_per_request:.3g} J a request")
    return ", ".join([*words, f"{one.exposed_share:.1%} of the requests leave the device"])


def _style(one: Tradeoff) -> str:
    return _STYLES[one.option.split()[0]]


def short(value: float) -> str:
    """Print a large number in three digits: 1.2 M."""
    for size, mark in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{mark}"
    return f"{value:.3g}"


def _positive(line: Line) -> Line:
    points = [(x, max(y, 0.01)) for x, y in line.points]
    return Line(name=line.name, points=points, style=line.style)


def curve_rows(curve: Sequence[CostPoint]) -> list[list[str]]:
    """Give the points of the curve as cells."""
    return [
        [
            f"{p.requests_per_month:.6g}",
            *("" if v is None else f"{v:.6g}" for v in (p.edge, p.cloud, p.hybrid)),
        ]
        for p in curve
    ]
