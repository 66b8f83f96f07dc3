"""`edgewise run`: from edgewise.yaml to a run directory."""

from pathlib import Path

import click

from edgewise.cli.show import Bars, print_json, say, table
from edgewise.records import Candidate, RunSummary, encode
from edgewise.route.secrets import read_secret
from edgewise.units import format_bytes, format_ms, format_usd


@click.command("run")
@click.argument("project", type=click.Path(path_type=Path), default=Path("edgewise.yaml"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/latest"),
    show_default=True,
    help="run directory to write",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="where results of stages are kept [default: .edgewise beside PROJECT]",
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(project: Path, out: Path, cache: Path | None, *, as_json: bool) -> int:
    """Build, profile, certify and plan PROJECT into a run directory.

    Run again with nothing changed, it does nothing; interrupted, it continues.
    Exit code 3: no candidate may ship, or no option is feasible.
    """
    from edgewise.spec import load_spec  # noqa: PLC0415 - heavy

    spec = load_spec(project)
    from edgewise.pipeline import run_project  # noqa: PLC0415 - heavier: a slip is said at once

    with Bars() as bars:
        result = run_project(spec, out, secret=read_secret, cache=cache, progress=bars)
    if as_json:
        print_json(encode(result))
    elif isinstance(result, RunSummary):
        show_summary(result)
    else:
        say(f"{result.name}: no bundle may ship\n")
        say(_candidates(result.candidates))
        for reason in result.reasons:
            say(f"  - {reason}")
    return 0 if isinstance(result, RunSummary) and result.plan.feasible else 3


def show_summary(run: RunSummary) -> None:
    """Print a run for people."""
    if not run.done:
        say(f"nothing changed, nothing done: {run.out} is up to date")
    say(f"\n{run.plan.recommendation}\n")
    quality, certificate = run.quality, run.certificate
    say(_candidates(run.candidates))
    say()
    share = run.bundle.size_bytes / run.source.size_bytes
    recipe = " → ".join(run.bundle.recipe)
    say(f"bundle       {format_bytes(run.bundle.size_bytes)}, {share:.0%} of the source ({recipe})")
    profile = run.profile
    say(
        f"profile      p50 {format_ms(profile.p50_ms)}, p95 {format_ms(profile.p95_ms)}, "
        f"peak memory {format_bytes(profile.peak_memory_bytes)}, "
        f"cold start {format_ms(profile.cold_start_ms)}"
    )
    parts = [f"edge {quality.edge:.1%}", f"source {quality.source:.1%}"]
    if quality.cloud is not None and quality.hybrid is not None:
        parts += [f"cloud {quality.cloud:.1%}", f"hybrid {quality.hybrid:.1%}"]
    say(f"quality      {', '.join(parts)} ({quality.metric} on {quality.n} test rows)")
    if certificate.threshold is not None:
        say(
            f"certificate  {certificate.state}: {certificate.loss} loss ≤ {certificate.alpha:.1%} "
            f"at {1 - certificate.delta:.0%} confidence (n = {certificate.n}), "
            f"deferring {certificate.deferral_rate:.1%}"
        )
    else:
        say(f"certificate  {certificate.state}")
    for reason in certificate.reasons:
        say(f"             {reason}")
    money = run.plan.monthly_usd
    costs = [f"edge {format_usd(money.edge)}"]
    costs += [
        f"{name} {format_usd(usd)}"
        for name, usd in (("cloud", money.cloud), ("hybrid", money.hybrid))
        if usd is not None
    ]
    say(f"a month      {', '.join(costs)}")
    for reason in run.plan.reasons:
        say(f"             {reason}")
    say(f"\n{run.out}/report.html")


def _candidates(candidates: tuple[Candidate, ...]) -> str:
    rows = []
    for one in candidates:
        found = one.fidelity
        agreement = found.agreement if found is not None else None
        rows.append(
            (
                " → ".join(one.recipe),
                format_bytes(one.size_bytes),
                format_ms(one.p50_ms) if one.p50_ms is not None else "–",
                format_bytes(one.peak_memory_bytes) if one.peak_memory_bytes is not None else "–",
                f"{found.metric:.1%}" if found is not None and found.metric is not None else "–",
                f"{agreement:.1%}" if agreement is not None else "–",
                one.why[0] if one.why else "kept",
            )
        )
    return table(("candidate", "size", "p50", "memory", "held-out", "agreement", ""), rows)
