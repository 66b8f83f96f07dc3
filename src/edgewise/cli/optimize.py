"""`edgewise optimize`: from a model and a data file to the best bundle for a target."""

from pathlib import Path

import click

from edgewise.cli.numbers import FiniteRange
from edgewise.cli.show import Bars, print_json, say, table, to_stderr
from edgewise.errors import UsageError
from edgewise.records import CandidateRow, Objective, OptimizeSpec, OptimizeSummary, encode
from edgewise.units import format_bytes, format_ms

_DEFAULTS = OptimizeSpec()


@click.command("optimize")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV or JSONL with a column text or image, and label where there are labels",
)
@click.option(
    "--target",
    default="here",
    show_default=True,
    help="such as memory=256MiB,storage=16MiB,threads=1,latency=100ms; each part optional",
)
@click.option(
    "--passes",
    metavar="RECIPE",
    multiple=True,
    help="such as smooth,int8-dynamic; repeatable [default: those usual for the task]",
)
@click.option(
    "--search",
    is_flag=True,
    help="look for more: layers, width, heads, neurons, vocabulary, training",
)
@click.option("--minutes", type=FiniteRange(min=0.0, min_open=True), help="of the search")
@click.option(
    "--training-minutes",
    type=FiniteRange(min=0.0),
    default=_DEFAULTS.training_minutes,
    show_default=True,
    help="about what one training may take; 0 trains nothing that --passes does not name",
)
@click.option("--max-quality-loss", type=FiniteRange(0.0, 1.0), default=0.02, show_default=True)
@click.option(
    "--min-agreement",
    type=FiniteRange(0.0, 1.0),
    default=_DEFAULTS.min_agreement,
    show_default=True,
    help="of a smaller form with its own float form",
)
@click.option(
    "--min-cosine",
    type=FiniteRange(-1.0, 1.0),
    default=_DEFAULTS.min_cosine,
    show_default=True,
    help="of embeddings with the source's, where there are no labels",
)
@click.option("--column", default="", help="of the input [default: text or image]")
@click.option("--label-column", default="", help="[default: label, where there is one]")
@click.option(
    "--max-length",
    type=click.IntRange(2, 8192),
    default=128,
    show_default=True,
    help="tokens; longer text is cut there",
)
@click.option("--image-shape", default="", help="such as 3x224x224 [default: as SOURCE says]")
@click.option(
    "--image-mean",
    default="",
    help="subtracted by channel, of 0..1 [default: as SOURCE says, else ImageNet's]",
)
@click.option("--image-std", default="", help="divided by, of 0..1 [default: likewise]")
@click.option("--seed", type=int, default=0, show_default=True, help="of the search")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="directory to write")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="where measured candidates are kept [default: .edgewise beside --out]",
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(  # noqa: PLR0913 - one parameter an option
    source: Path,
    *,
    data: Path,
    target: str,
    passes: tuple[str, ...],
    search: bool,
    minutes: float | None,
    training_minutes: float,
    max_quality_loss: float,
    min_agreement: float,
    min_cosine: float,
    column: str,
    label_column: str,
    max_length: int,
    image_shape: str,
    image_mean: str,
    image_std: str,
    seed: int,
    out: Path,
    cache: Path | None,
    as_json: bool,
) -> int:
    """Make the best bundle of SOURCE, an ONNX file or a Hugging Face directory, for a target.

    Every candidate is held against SOURCE on held-out rows of --data and measured here.
    Asked again, or after an interruption, it continues with what it has measured.

    Exit code 3: no candidate may ship; --out is as it was.
    """
    if search != (minutes is not None):
        raise UsageError("--search and --minutes go together", hint="--search --minutes 10")
    from edgewise.spec import parse_pixels, parse_target  # noqa: PLC0415 - heavy

    edge, latency_ms = parse_target(target)
    pixels = parse_pixels(image_shape, image_mean, image_std)
    from edgewise.pipeline import Order, optimize_source  # noqa: PLC0415 - a slip is said at once

    order = Order(
        source=source,
        data=data,
        out=out,
        edge=edge,
        objective=Objective(latency_p95_ms=latency_ms, max_quality_loss=max_quality_loss),
        optimize=OptimizeSpec(
            recipes=passes,
            min_agreement=min_agreement,
            min_cosine=min_cosine,
            training_minutes=training_minutes,
        ),
        column=column,
        label_column=label_column,
        max_length=max_length,
        pixels=pixels,
        search_minutes=minutes,
        seed=seed,
        cache=cache,
    )
    with Bars() as bars:
        summary = optimize_source(order, bars)
    for one in summary.skipped_runtimes:
        if one.command:
            to_stderr(f"{one.runtime} is skipped, {one.why}: {one.command}")
    if as_json:
        print_json(encode(summary))
    else:
        show_candidates(summary)
    return 0 if summary.chosen is not None else 3


def show_candidates(summary: OptimizeSummary) -> None:
    """Print what was tried for people."""
    rows = [_row(one, place in summary.pareto) for place, one in enumerate(summary.candidates)]
    metric = "metric" if any(one.metric is not None for one in summary.candidates) else "cosine"
    header = ("candidate", "runtime", "size", "p50", "p95", "memory", metric, "agreement", "front")
    say(table((*header, ""), rows))
    chosen = summary.chosen
    if chosen is None:
        say(f"\n{summary.name}: no bundle may ship")
        return
    share = chosen.size_bytes / max(summary.source_size_bytes, 1)
    say(f"\n{Path(summary.out) / 'bundle'}: {share:.0%} of the source's bytes, {chosen.runtime}")
    say(f"{Path(summary.out) / 'optimize.html'}")


def _row(one: CandidateRow, best: bool) -> tuple[str, ...]:  # noqa: FBT001 - a cell of the table
    if one.metric is not None:
        quality = f"{one.metric:.1%}"
    else:
        quality = f"{one.cosine:.4f}" if one.cosine is not None else "–"
    return (
        " → ".join(one.recipe),
        one.runtime if one.threads == 1 else f"{one.runtime} x{one.threads}",
        format_bytes(one.size_bytes) if one.size_bytes else "–",
        format_ms(one.p50_ms) if one.p50_ms is not None else "–",
        format_ms(one.p95_ms) if one.p95_ms is not None else "–",
        format_bytes(one.peak_memory_bytes) if one.peak_memory_bytes is not None else "–",
        quality,
        f"{one.agreement:.1%}" if one.agreement is not None else "–",
        "●" if best else "",
        one.why[0] if one.why else "kept",
    )
