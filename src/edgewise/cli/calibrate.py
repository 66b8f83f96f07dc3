"""`edgewise calibrate`: a new certificate for a run, from new labels."""

from pathlib import Path

import click

from edgewise.cli.show import Bars, print_json, say, show_certificate
from edgewise.records import CalibrateSummary, Loss, encode


@click.command("calibrate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV or JSONL with the columns text or image, and label; rows that trained nothing",
)
@click.option("--alpha", type=float, help="loss promised at the most [default: the run's]")
@click.option("--delta", type=float, help="chance that it is false [default: the run's]")
@click.option(
    "--loss", type=click.Choice([loss.value for loss in Loss]), help="[default: the run's]"
)
@click.option(
    "--cloud-column", default="", help="of the cloud's answers [default: it is taken for right]"
)
@click.option("--group-column", default="", help="hold the promise in each of its groups too")
@click.option(
    "--cluster-column", default="", help="speaker, user or session: its rows are not independent"
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="directory to write into instead of RUN"
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(  # noqa: PLR0913 - one parameter an option
    run: Path,
    *,
    labels: Path,
    alpha: float | None,
    delta: float | None,
    loss: str | None,
    cloud_column: str,
    group_column: str,
    cluster_column: str,
    out: Path | None,
    as_json: bool,
) -> int:
    """Certify RUN anew with labelled rows: its certificate, its policy's threshold, and a plot.

    Exit code 3: these labels give no certificate; all is as it was.
    """
    from edgewise.pipeline import CalibrateOrder, calibrate_run  # noqa: PLC0415 - heavy

    order = CalibrateOrder(
        run=run,
        labels=labels,
        alpha=alpha,
        delta=delta,
        loss=None if loss is None else Loss(loss),
        cloud_column=cloud_column,
        group_column=group_column,
        cluster_column=cluster_column,
        out=out,
    )
    with Bars() as bars:
        summary = calibrate_run(order, bars)
    if as_json:
        print_json(encode(summary))
    else:
        show(summary)
    return 0 if summary.written else 3


def show(summary: CalibrateSummary) -> None:
    """Print a certificate for people."""
    one = summary.certificate
    say(f"edge {summary.edge_accuracy:.1%}, cloud {summary.cloud_accuracy:.1%} on {one.n} rows")
    show_certificate(one, summary.written)
