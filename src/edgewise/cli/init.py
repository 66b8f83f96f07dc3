"""`edgewise init`: a starting edgewise.yaml."""

from pathlib import Path

import click

from edgewise.cli.show import print_json, say
from edgewise.errors import UsageError


@click.command("init")
@click.option("--data", type=click.Path(path_type=Path), help="a CSV file with inputs and labels")
@click.option(
    "--model", type=click.Path(path_type=Path), help="an ONNX file or a Hugging Face directory"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("edgewise.yaml"),
    show_default=True,
    help="file to write",
)
@click.option(
    "--explain", is_flag=True, help="print every key with its meaning and default, and stop"
)
@click.option("--schema", is_flag=True, help="print the JSON schema for editors, and stop")
@click.option(
    "--chats", is_flag=True, help="with --explain or --schema: of a file for text generation"
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    data: Path | None,
    model: Path | None,
    out: Path,
    *,
    explain: bool,
    schema: bool,
    chats: bool,
    as_json: bool,
) -> int:
    """Write a starting edgewise.yaml from a data file and a model.

    The data file is split by a hash of each input into train, calibration and test beside --out.
    """
    from edgewise import spec  # noqa: PLC0415 - heavy

    if schema:
        print_json({"schema": spec.json_schema(chats=chats)})
        return 0
    if explain:
        text = spec.explain(chats=chats)
        if as_json:
            print_json({"yaml": text})
        else:
            say(text)
        return 0
    if data is None or model is None:
        raise UsageError(
            "both are needed",
            where="--data, --model",
            hint="edgewise init --data reviews.csv --model models/minilm",
        )
    written = spec.start_project(data, model, out)
    if as_json:
        print_json({"written": [str(path) for path in written]})
    else:
        for path in written:
            say(f"wrote {path}")
        say(f"next: edgewise run {out}")
    return 0
