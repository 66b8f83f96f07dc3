"""`edgewise init`: a starting edgewise.yaml."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
@click.option(
    "--gateway", is_flag=True, help="with --explain or --schema: of the settings of `serve`"
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
    gateway: bool,
    as_json: bool,
) -> int:
    """Write a starting edgewise.yaml from a data file and a model.

    The data file is split by a hash of each input into train, calibration and test beside --out.
    """
    is_told = explain or schema
    if (gateway or chats) and (not is_told or (gateway and chats)):
        name = "--gateway" if gateway else "--chats"
        hint = f"edgewise init --explain {name}"
        raise UsageError("it goes with --explain or --schema", where=name, hint=hint)
    if schema or explain:
        return _tell(_words(chats=chats, gateway=gateway), schema=schema, as_json=as_json)
    from edgewise import spec  # noqa: PLC0415 - heavy

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
        say(f"next: edgewise run {shlex.quote(str(out))}")
    return 0


Words = tuple[Callable[[], str], Callable[[], dict[str, Any]]]


def _words(*, chats: bool, gateway: bool) -> Words:
    """Give what explains a file, and what gives its schema."""
    if gateway:
        from edgewise.gateway import explain_settings, settings_schema  # noqa: PLC0415 - heavy

        return explain_settings, settings_schema
    from edgewise import spec  # noqa: PLC0415 - heavy

    return (lambda: spec.explain(chats=chats)), (lambda: spec.json_schema(chats=chats))


def _tell(words: Words, *, schema: bool, as_json: bool) -> int:
    explain, as_schema = words
    if schema:
        print_json({"schema": as_schema()})
    elif as_json:
        print_json({"yaml": explain()})
    else:
        say(explain())
    return 0
