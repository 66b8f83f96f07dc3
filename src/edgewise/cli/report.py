"""`edgewise report`: the report of a run, as a page, Markdown or a PDF."""

from pathlib import Path

import click

from edgewise.cli.show import print_json, say, to_stderr
from edgewise.errors import UsageError
from edgewise.records import write_text


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["md", "html", "pdf"]),
    default="md",
    show_default=True,
    help="pdf: printed by an installed Chromium",
)
@click.option("--out", type=click.Path(path_type=Path), help="file to write instead of stdout")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(run: Path, *, kind: str, out: Path | None, as_json: bool) -> int:
    """Give the report of RUN, what `edgewise run --out` wrote; nothing is measured or changed."""
    from edgewise.pipeline import is_older, print_pdf, report_of  # noqa: PLC0415 - heavy

    if out is None and kind == "pdf":
        raise UsageError("a PDF needs a file", where="--format pdf", hint="--out report.pdf")
    text = report_of(run, "md" if kind == "md" else "html")
    if kind != "md" and is_older(run):
        to_stderr("the page is of an earlier certificate: `--format md` has the one that is there")
    if kind == "pdf" and out is not None:
        print_pdf(text, out)
    elif out is not None:
        write_text(out, text)
    if as_json:
        there = {"text": text} if out is None else {"path": str(out)}
        print_json({"format": kind, **there})
    elif out is None:
        say(text.rstrip("\n"))
    return 0
