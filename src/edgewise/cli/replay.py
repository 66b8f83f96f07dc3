"""`edgewise replay`: what another policy would have done to the requests of a decision log."""

from pathlib import Path

import click

from edgewise.cli.show import print_json, say, table
from edgewise.records import Bounds, LogReplay, encode
from edgewise.units import format_ms, format_usd


@click.command("replay")
@click.argument("log", metavar="DECISIONLOG", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    required=True,
    help="the new policy: policy.json, a run's directory, or an edgewise.yaml",
)
@click.option("--what-if", multiple=True, help="KEY=VALUE of the policy: tiers.edge.threshold=0.9")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(log: Path, *, policy: Path, what_if: tuple[str, ...], as_json: bool) -> int:
    """Say what a new policy would have done to the requests of DECISIONLOG.

    Where the log has no evidence, bounds are given, and how many requests that holds for.
    """
    from edgewise.simulate import replay_files  # noqa: PLC0415 - numpy

    found = replay_files(log, policy, what_if)
    if as_json:
        print_json(encode(found))
    else:
        show(found)
    return 0


def show(found: LogReplay) -> None:
    """Print a replay for people."""
    known = f"{found.known_share:.1%} go a way that the log proves"
    say(f"{found.requests:,} requests; {known}")
    say(
        f"changed {_shares(found.changed)}; cost {_usd(found.cost_usd)}, "
        f"before {format_usd(found.cost_usd_before)}"
    )
    one = found.latency_ms
    if one.p50 is not None and one.p95 is not None:
        part = f"of the {found.latency_known_share:.1%} whose times are known"
        say(f"latency p50 {format_ms(one.p50)}, p95 {format_ms(one.p95)}, {part}")
    say()
    rows = [
        (name, f"{found.share_before.get(name, 0.0):.1%}", _shares(bounds))
        for name, bounds in found.share.items()
    ]
    say(table(("tier", "before", "then"), rows))
    say()
    for what, count in found.unknown.items():
        say(f"unknown: {what} ({count} requests)")
    for line in found.warnings:
        say(f"warning: {line}")


def _shares(bounds: Bounds) -> str:
    if bounds.low == bounds.high:
        return f"{bounds.low:.1%}"
    return f"{bounds.low:.1%} to {bounds.high:.1%}"


def _usd(bounds: Bounds) -> str:
    if bounds.low == bounds.high:
        return format_usd(bounds.low)
    return f"{format_usd(bounds.low)} to {format_usd(bounds.high)}"
