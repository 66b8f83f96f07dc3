"""`edgewise plan`: where to run, what it costs, and how sure that is."""

from datetime import UTC, date, datetime
from pathlib import Path

import click

from edgewise.cli.show import print_json, say, table
from edgewise.errors import UsageError
from edgewise.records import Certainty, Flip, Plan, encode, write_text
from edgewise.units import format_ms, format_usd

_FIRST, _LAST = date(1970, 1, 1), date(9999, 12, 1)
"""A year has four digits, and so has that of the month after."""


@click.command("plan")
@click.argument("path", type=click.Path(path_type=Path), default=Path("edgewise.yaml"))
@click.option("--draws", type=int, default=10_000, show_default=True, help="of uncertain numbers")
@click.option("--seed", type=int, default=0, show_default=True, help="of the draws")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "md", "html", "pdf", "focus"]),
    default="text",
    show_default=True,
    help="pdf: printed by an installed Chromium; focus: rows of FOCUS 1.2 as CSV",
)
@click.option(
    "--month",
    default="",
    help="of the FOCUS rows, as 2026-11 [default: this one; with --ledger, all]",
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path),
    help="a decision log: FOCUS rows of what was decided instead of what is planned",
)
@click.option("--out", type=click.Path(path_type=Path), help="file to write instead of stdout")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    path: Path,
    *,
    draws: int,
    seed: int,
    kind: str,
    month: str,
    ledger: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Plan PATH, a run directory or an edgewise.yaml; nothing is measured and a run is not changed.

    A run is planned by what it measured, a project file by what it gives under `costs.assume`.
    Exit code 3: no option meets the objective.
    """
    from edgewise.pipeline import (  # noqa: PLC0415 - heavy
        focus_of,
        plan_again,
        plan_page,
        print_pdf,
    )

    asked = _month(month) if month else None
    _check(seed, kind, ledger, out, is_month=asked is not None, as_json=as_json)
    plan = plan_again(path, draws=draws, seed=seed)
    if kind == "pdf" and out is not None:
        print_pdf(plan_page(plan, "html"), out)
    elif out is not None or not (as_json or kind == "text"):
        if kind == "focus":
            text = focus_of(plan, asked, ledger, today=datetime.now(UTC).date())
        else:
            text = plan_page(plan, kind)
        if out is None:
            say(text.rstrip("\n"))
        else:
            write_text(out, text)
    if as_json:
        print_json(encode(plan))
    elif kind == "text":
        show(plan)
    return 0 if plan.feasible else 3


def _check(
    seed: int, kind: str, ledger: Path | None, out: Path | None, *, is_month: bool, as_json: bool
) -> None:
    if seed < 0:
        raise UsageError(f"not a seed: {seed}", where="--seed", hint="give a whole number ≥ 0")
    if ledger is not None and kind != "focus":
        raise UsageError("a ledger has FOCUS rows only", where="--ledger", hint="--format focus")
    if is_month and kind != "focus":
        raise UsageError("a month is of FOCUS rows only", where="--month", hint="--format focus")
    if kind == "pdf" and out is None:
        raise UsageError("a PDF needs a file", where="--format pdf", hint="--out report.pdf")
    if kind == "text" and out is not None:
        hint = "--format md, html, pdf or focus"
        raise UsageError("words and JSON go to stdout", where="--out", hint=hint)
    if as_json and kind != "text" and out is None:
        what, hint = "it needs a file beside JSON", "add --out FILE, or leave one of both out"
        raise UsageError(what, where=f"--format {kind}", hint=hint)


def _month(text: str) -> date:
    try:
        found = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        found = date.min
    if not _FIRST <= found < _LAST:
        raise UsageError(f"not a month: {text}", where="--month", hint="write it like 2026-11")
    return found


def show(plan: Plan) -> None:
    """Print a plan for people."""
    say(f"{plan.recommendation}\n")
    for words in plan.warnings:
        say(f"check: {words}")
    rows = [
        (
            one.name,
            format_usd(one.monthly_usd) if one.monthly_usd is not None else "–",
            format_ms(one.latency_p95_ms) if one.latency_p95_ms is not None else "–",
            f"{one.quality_loss:.1%}" if one.quality_loss is not None else "–",
            "yes" if one.feasible else f"no: {'; '.join(one.reasons)}",
        )
        for one in plan.options
    ]
    say(table(("option", "a month", "p95", "loss", ""), rows))
    say()
    _show_latency(plan)
    crossing = plan.break_even_requests_per_month
    if crossing is not None:
        say(f"break-even   {plan.own_option} from {crossing:,.0f} requests a month on")
    for reason in plan.reasons:
        if reason.startswith("break-even: "):
            say(f"break-even   {reason.removeprefix('break-even: ')}")
    if plan.flip is not None:
        horizon = None if plan.basis is None else plan.basis.workload.horizon_months
        _show_flip(plan.flip, plan.own_option, horizon)
    if plan.certainty is not None:
        _show_certainty(plan.certainty)


def _show_latency(plan: Plan) -> None:
    options: dict[str, list[str]] = {}
    for one in plan.latency:
        gaps = (
            ""
            if one.arrival_cv2 is None
            else f", gaps between requests of CV² {one.arrival_cv2:.3g}"
        )
        how = "lognormal, nobody waits"
        if one.is_simulated and plan.replay is not None:
            how = f"{plan.replay.requests:,} requests of {plan.replay.trace}"
        elif one.is_measured:
            how = "one at a time, nobody waits"
        options.setdefault(f"{one.origin}: {how}{gaps}", []).append(one.option)
    for words, names in options.items():
        say(f"latency      {', '.join(names)} {words}")


def _show_flip(flip: Flip, own: str, horizon_months: int | None) -> None:
    if flip.devices is not None:
        fleet = f"{flip.devices:,.0f}" if flip.devices >= 1 else f"{flip.devices:.2g}"
        say(f"flips        {own} is cheaper than cloud up to {fleet} devices")
    if flip.device_usd is not None:
        say(
            f"flips        {own} is cheaper than cloud up to {format_usd(flip.device_usd)} a device"
        )
    if flip.payback_months is not None:
        late = horizon_months is not None and flip.payback_months > horizon_months
        words = f", after the horizon of {horizon_months}" if late else ""
        say(f"pays back    in {flip.payback_months:,.1f} months{words}")
    for reason in flip.reasons:
        say(f"             {reason}")


def _show_certainty(found: Certainty) -> None:
    crossing = found.break_even
    if crossing is not None:
        ends = [
            "never" if one is None else f"{one:,.0f}"
            for one in (crossing.p5_requests, crossing.p95_requests)
        ]
        say(
            f"certainty    the break-even is within {ends[0]} to {ends[1]} in 90% of the draws"
            + (f", and there is none in {crossing.never_share:.1%}" if crossing.never_share else "")
        )
    for note in found.notes:
        say(f"certainty    {note}")
    for one in found.spreads:
        say(
            f"certainty    {one.option} is cheapest in {one.cheapest_share:.1%} of "
            f"{found.draws:,} draws: {format_usd(one.p5_usd)} to {format_usd(one.p95_usd)} a month"
        )
    for swing in found.swings[:5]:
        say(
            f"matters      {swing.name}: {swing.total:.0%} of the spread; "
            f"knowing it is worth {format_usd(swing.worth_usd_per_month)} a month"
        )
