"""`edgewise simulate`: what a policy would do to a trace of requests."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgewise.cli.show import print_json, say, table
from edgewise.records import LateReport, Simulation, encode
from edgewise.units import format_ms, format_usd

if TYPE_CHECKING:
    from edgewise.simulate import Fits, TraceFits


@click.command("simulate")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    required=True,
    help="policy.json, a run's directory, or an edgewise.yaml whose tiers are taken",
)
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV: t_s, input_tokens, output_tokens, maybe text_id, privacy, device, late",
)
@click.option(
    "--network",
    type=click.Path(path_type=Path),
    help="CSV: rtt_ms, up_mbps, down_mbps, and t_s where they change over time",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="profile.json or run of the nearest tier, or TIER=FILE [default: the run's]",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    help="CSV: edge_confidence, edge_correct, cloud_correct, maybe text_id and gain",
)
@click.option(
    "--what-if",
    multiple=True,
    help="KEY=VALUE: tiers.cloud.servers=8, deadline_ms=200, rate=2, outages.cloud=60-120, …",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--fit", is_flag=True, help="also fit families to arrivals and service times, with their fit"
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(  # noqa: PLR0913 - one parameter an option
    *,
    policy: Path,
    trace: Path,
    network: Path | None,
    profiles: tuple[str, ...],
    answers: Path | None,
    what_if: tuple[str, ...],
    seed: int,
    fit: bool,
    as_json: bool,
) -> int:
    """Replay a trace of requests through a policy, by the decision that live traffic gets."""
    from edgewise.simulate import SimulateOrder, fit_trace, simulate_files  # noqa: PLC0415 - numpy

    order = SimulateOrder(
        policy=policy,
        trace=trace,
        network=network,
        profiles=profiles,
        answers=answers,
        what_if=what_if,
        seed=seed,
    )
    seen = simulate_files(order)
    fits = fit_trace(policy, trace, what_if) if fit else None
    if as_json:
        print_json(encode(seen) | ({} if fits is None else told(fits)))
        return 0
    show(seen)
    if fits is not None:
        show_fits(fits)
    return 0


def told(fits: "TraceFits") -> dict[str, Any]:
    """Give fits as JSON holds them."""
    service = {tier: asdict(one) for tier, one in fits.service.items()}
    return {"fits": asdict(fits.arrivals), "service_fits": service}


def show_fits(fits: "TraceFits") -> None:
    """Print fits for people, the best first."""
    show_family("arrivals", "gaps", fits.arrivals)
    for tier, found in fits.service.items():
        show_family(f"service, {tier}", "times", found)


def show_family(title: str, what: str, fits: "Fits") -> None:
    """Print the families of one thing."""
    say()
    say(f"{fits.n:,} {what}: CV² {fits.cv2:.3g}, autocorrelation {fits.autocorrelation:.2f}")
    rows = []
    for one in fits.fits:
        aic = "-" if one.aic is None else f"{one.aic:,.0f}"
        ks = "-" if one.ks is None else f"{one.ks:.3f}"
        ad = "-" if one.ad is None else f"{one.ad:.3g}"
        most = "-" if one.ad_5 is None else f"{one.ad_5:.2f}"
        cv2 = "-" if one.cv2 is None else f"{one.cv2:.3g}"
        rows.append((one.name, aic, ks, ad, most, cv2))
    say(table((title, "AIC", "KS", "A²", "A² of 5 %", "CV²"), rows))


def show(seen: Simulation) -> None:
    """Print a simulation for people."""
    arrivals = seen.arrivals
    span = "" if arrivals is None else f" over {arrivals.span_s:,.4g} s"
    cv2 = None if arrivals is None else arrivals.gap_cv2
    burst = "" if cv2 is None else f", CV² of gaps {cv2:.3g}"
    say(f"{seen.requests:,} requests{span}{burst}; replayed in {seen.wall_s:.3g} s")
    one = seen.latency_ms
    if one.p50 is not None and one.p95 is not None and one.p99 is not None:
        say(
            f"latency p50 {format_ms(one.p50)}, p95 {format_ms(one.p95)}, p99 {format_ms(one.p99)}"
            f"; cost {format_usd(seen.cost_usd)}"
        )
    if seen.quality.value is not None and seen.quality.low is not None:
        say(f"quality {seen.quality.value:.2%} ({seen.quality.low:.2%} to {seen.quality.high:.2%})")
    if seen.deadline_ms is not None:
        say(f"{seen.deadline_miss_rate:.2%} miss the deadline of {format_ms(seen.deadline_ms)}")
    say()
    say(
        table(
            ("tier", "answers", "servers", "busy", "mean wait", "p95 wait", "waiting"),
            [
                (
                    name,
                    f"{seen.share[name]:.1%}",
                    "-" if queue.servers is None else str(queue.servers),
                    f"{queue.utilization:.0%}" if queue.servers is not None else "-",
                    format_ms(queue.mean_wait_ms),
                    format_ms(queue.p95_wait_ms),
                    f"{queue.share_waiting:.1%}",
                )
                for name, queue in seen.queue.items()
            ],
        )
    )
    if seen.late is not None and seen.late.stored:
        _show_late(seen.late, seen.requests)
    if "none" in seen.share:
        say(f"none  {seen.share['none']:.1%} of requests have no answer")
    say()
    for reason, count in sorted(seen.reasons.items(), key=lambda pair: -pair[1]):
        say(f"  {count:>10,}  {reason}")
    for line in seen.warnings:
        say(f"warning: {line}")
    for line in seen.assumed:
        say(f"assumed: {line}")


def _show_late(late: LateReport, requests: int) -> None:
    stored = late.stored / requests
    say(f"queued  {stored:.1%} of requests were stored to be answered later")
    if late.wait_p50_s is not None and late.wait_p95_s is not None:
        wait = f", after {late.wait_p50_s:.4g} s (p50), {late.wait_p95_s:.4g} s (p95)"
        say(f"        {late.answered:,} of {late.stored:,} have their answer{wait}")
    if late.expired or late.given_up:
        say(f"        {late.expired:,} expired and {late.given_up:,} were given up")
