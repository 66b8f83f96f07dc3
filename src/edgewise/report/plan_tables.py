"""The tables of a plan, as cells: one source for HTML, Markdown and CSV."""

from edgewise.records import Flip, LatencyCurve, Plan
from edgewise.report.plan_plots import curve_rows, latency_origins
from edgewise.report.table import Table
from edgewise.units import format_ms, format_usd

_SHOWN_SHARES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def plan_tables(plan: Plan) -> list[Table]:
    """Give every table that has rows."""
    tables = [
        _options(plan),
        _bill(plan),
        _flips(plan),
        _spreads(plan),
        _swings(plan),
        _latency(plan),
        _decisions(plan),
        _tradeoffs(plan),
        _complexity(plan),
        _years(plan),
        Table(
            title="Cost by volume, USD a month",
            header=("requests a month", "edge", "cloud", "hybrid"),
            rows=curve_rows(plan.curve),
        ),
    ]
    return [table for table in tables if table.rows]


def _options(plan: Plan) -> Table:
    rows = [
        (
            one.name,
            _usd(one.monthly_usd),
            _ms(one.latency_p95_ms),
            _percent(one.quality_loss),
            "yes" if one.feasible else f"no: {'; '.join(one.reasons)}",
        )
        for one in plan.options
    ]
    header = ("option", "a month", "p95", "loss", "meets the objective")
    volume = plan.basis.workload.requests_per_month if plan.basis is not None else None
    caption = "" if volume is None else f"{volume:,.0f} requests a month"
    return Table(title="Options", header=header, rows=rows, caption=caption)


def _bill(plan: Plan) -> Table:
    rows = [(one.option, one.line, _usd(one.usd_per_month)) for one in plan.bill]
    return Table(title="Bill", header=("option", "line", "a month"), rows=rows)


def _payback(plan: Plan, flip: Flip) -> str:
    horizon = None if plan.basis is None else plan.basis.workload.horizon_months
    if flip.payback_months is None or horizon is None or flip.payback_months <= horizon:
        return _number(flip.payback_months)
    return f"{_number(flip.payback_months)}, after the horizon of {horizon}"


def _flips(plan: Plan) -> Table:
    flip = plan.flip
    rows = [("requests a month", _number(plan.break_even_requests_per_month))]
    if flip is not None:
        rows += [
            ("devices", _number(flip.devices)),
            ("price of a device", _usd(flip.device_usd)),
            ("months to pay back", _payback(plan, flip)),
            *(("why", reason) for reason in flip.reasons),
        ]
    spread = plan.certainty.break_even if plan.certainty is not None else None
    if spread is not None:
        ends = (spread.p5_requests, spread.p50_requests, spread.p95_requests)
        rows.append(("in the draws, p5, median, p95", " – ".join(map(_number, ends))))
        rows.append(("draws without a crossing", f"{spread.never_share:.1%}"))
    rows += [("why", one) for one in plan.reasons if one.startswith("break-even: ")]
    shown = rows if flip is not None else []
    return Table(
        title=f"Where the answer between {plan.own_option} and cloud flips",
        header=("what", "at"),
        rows=shown,
    )


def _spreads(plan: Plan) -> Table:
    found = plan.certainty
    rows = [
        (
            one.option,
            f"{one.cheapest_share:.1%}",
            _usd(one.p5_usd),
            _usd(one.p50_usd),
            _usd(one.p95_usd),
            _usd(one.mean_regret_usd),
        )
        for one in (found.spreads if found is not None else ())
    ]
    draws = f" in {found.draws:,} draws" if found is not None else ""
    header = ("option", "cheapest", "p5", "median", "p95", "mean regret")
    return Table(title=f"Certainty{draws}", header=header, rows=rows)


def _swings(plan: Plan) -> Table:
    found = plan.certainty
    rows = [
        (
            one.name,
            f"{one.low:.4g}",
            f"{one.high:.4g}",
            f"{one.first_order:.2f}",
            f"{one.total:.2f}",
            _usd(one.worth_usd_per_month),
            "yes" if one.flips else "no",
        )
        for one in (found.swings if found is not None else ())
    ]
    if found is not None and rows:
        rows.append(("all of them", "", "", "", "", _usd(found.worth_usd_per_month), ""))
    header = ("number", "p5", "p95", "Sobol", "Sobol, total", "worth knowing", "flips")
    return Table(
        title="What matters, and what knowing it is worth a month", header=header, rows=rows
    )


def _latency(plan: Plan) -> Table:
    known = [dict(one.points) for one in plan.latency]
    rows = [
        (f"{share:.0%}", *(_ms(points.get(share)) for points in known))
        for share in _SHOWN_SHARES
        if known
    ]
    names = [f"{one.option}, {_origin(one)}" for one in plan.latency]
    return Table(
        title="Answers within",
        header=("share of the answers", *names),
        rows=rows,
        caption=latency_origins(plan),
    )


def _origin(one: LatencyCurve) -> str:
    cv2 = "" if one.arrival_cv2 is None else f", CV² {one.arrival_cv2:.3g}"
    return f"{one.origin}{cv2}"


def _decisions(plan: Plan) -> Table:
    whole = sum(one.n for one in plan.decisions)
    rows = [
        (
            f"{one.confidence_low:.4f} to {one.confidence_high:.4f}",
            f"{one.n:,}",
            f"{one.n / whole:.1%}",
            "kept" if one.kept else "deferred",
            f"{one.edge_right_share:.1%}",
            _percent(one.cloud_right_share),
        )
        for one in plan.decisions
    ]
    header = ("confidence", "requests", "share", "decision", "edge right", "cloud right")
    caption = "Requests of the test split that may leave the device"
    return Table(title="Decisions by confidence", header=header, rows=rows, caption=caption)


def _tradeoffs(plan: Plan) -> Table:
    rows = [
        (
            one.option,
            _usd(one.usd_per_month),
            _ms(one.latency_p95_ms),
            _percent(one.quality_loss),
            "–" if one.joules_per_request is None else f"{one.joules_per_request:.3g} J",
            "–" if one.grams_per_month is None else f"{one.grams_per_month / 1000:,.3g} kg",
            _percent(one.exposed_share),
            ", ".join(one.beaten_by) or "none",
        )
        for one in plan.tradeoffs
    ]
    header = ("option", "a month", "p95", "loss", "energy", "CO2e a month", "exposed", "beaten by")
    return Table(title="Trade-offs", header=header, rows=rows)


def _complexity(plan: Plan) -> Table:
    rows = [
        (
            one.option,
            f"{one.artifact_kinds:g}",
            f"{one.rollouts_per_month:g}",
            f"{one.on_call_surface:g}",
            one.origin,
        )
        for one in plan.complexity
    ]
    header = ("option", "artifact kinds", "rollouts a month", "on-call surface", "origin")
    return Table(title="What people look after", header=header, rows=rows)


def _years(plan: Plan) -> Table:
    months = [one for one in plan.cash if one.month % 12 == 0 or one is plan.cash[-1]]
    options = list(months[0].usd) if months else []
    rows = [
        (f"{one.month}", *(_usd(one.discounted_total_usd[option]) for option in options))
        for one in months
    ]
    return Table(
        title="Paid up to a month, at today's value", header=("month", *options), rows=rows
    )


def figures_table(plan: Plan) -> Table:
    """Give every number of the plan with its origin."""
    rows = [
        (
            one.name,
            "–" if one.value is None else f"{one.value:,.6g}",
            one.unit,
            one.origin.value,
            one.source,
        )
        for one in plan.figures
    ]
    header = ("figure", "value", "unit", "origin", "source")
    caption = "Every number of the plan says whether it was measured, given or assumed"
    return Table(title="Figures", header=header, rows=rows, caption=caption)


def _usd(value: float | None) -> str:
    return "–" if value is None else format_usd(value)


def _ms(value: float | None) -> str:
    return "–" if value is None else format_ms(value)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    if value is None:
        return "never"
    if value < 1:
        return f"{value:.2g}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}".removesuffix(".0")
