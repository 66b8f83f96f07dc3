"""`edgewise recertify`: the next certificate of a run, from what its audit has sampled."""

from pathlib import Path

import click

from edgewise.cli.show import print_json, say, show_certificate
from edgewise.records import Loss, RecertifySummary, encode


@click.command("recertify")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--audit", type=click.Path(path_type=Path), help="the audit's file [default: RUN/audit.sqlite]"
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="CSV or JSONL with the columns request_id and label [default: those told to the audit]",
)
@click.option("--alpha", type=float, help="loss promised at the most [default: the run's]")
@click.option("--delta", type=float, help="chance that it is false [default: the run's]")
@click.option(
    "--loss", type=click.Choice([loss.value for loss in Loss]), help="[default: the run's]"
)
@click.option("--whole", is_flag=True, help="use samples from before the certificate was void too")
@click.option(
    "--out", type=click.Path(path_type=Path), help="directory to write into instead of RUN"
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(  # noqa: PLR0913 - one parameter an option
    run: Path,
    *,
    audit: Path | None,
    labels: Path | None,
    alpha: float | None,
    delta: float | None,
    loss: str | None,
    whole: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    """Certify RUN anew with its audited samples: its certificate, its threshold, and a plot.

    Exit code 3: these samples give no certificate; all is as it was.
    """
    from edgewise.pipeline import RecertifyOrder, recertify_run  # noqa: PLC0415 - heavy

    summary = recertify_run(
        RecertifyOrder(
            run=run,
            audit=audit,
            labels=labels,
            alpha=alpha,
            delta=delta,
            loss=None if loss is None else Loss(loss),
            whole=whole,
            out=out,
        )
    )
    if as_json:
        print_json(encode(summary))
    else:
        show(summary)
    return 0 if summary.written else 3


def show(summary: RecertifySummary) -> None:
    """Print a certificate for people."""
    one = summary.certificate
    since = " since the last one was void" if summary.since_void else ""
    judged = "" if summary.judged is None else f"{summary.judged} judged, "
    known = f"{judged}{summary.labelled} with labels, {summary.lost} lost"
    say(f"{summary.samples} samples{since}, {known}")
    was = summary.threshold_before
    before = "nothing" if was is None else f"{was:.4f}"
    show_certificate(one, summary.written, before=f" (before: {before})")
