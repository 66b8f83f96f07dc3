"""`edgewise cuts`: where an ONNX model may be cut between two tiers."""

from pathlib import Path

import click

from edgewise.cli.show import Bars, print_json, say, table
from edgewise.errors import UsageError
from edgewise.records import CutProfile, encode, write_json
from edgewise.units import format_bytes, format_ms


@click.command("cuts")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--shape", "shapes", multiple=True, help="NAME=1,3,224,224: of an input")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(4, 100_000), default=40, show_default=True)
@click.option("--most", type=click.IntRange(1, 64), default=8, show_default=True, help="places")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="of inputs")
@click.option("--out", type=click.Path(path_type=Path), help="write what was measured there")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    model: Path,
    *,
    shapes: tuple[str, ...],
    threads: int,
    rounds: int,
    most: int,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Cut MODEL, an ONNX file, where it sends less than its input is, and time both parts here.

    `edgewise place` reads the file of --out: under `cuts`, as `measured`.

    Exit code 3: no cut sends less than the input is.
    """
    from edgewise.pipeline import measure_cuts  # noqa: PLC0415 - heavy

    given = dict(_shape(one) for one in shapes)
    with Bars() as bars:
        found = measure_cuts(
            model,
            shapes=given,
            threads=threads,
            rounds=rounds,
            most=most,
            seed=seed,
            progress=bars,
        )
    if out is not None:
        write_json(out, found)
    if as_json:
        print_json(encode(found))
    else:
        show(model, found)
    return 0 if found.points else 3


def show(model: Path, found: CutProfile) -> None:
    """Print cuts for people."""
    target = found.target
    say(f"{model} on {target.cpu}, {target.threads} thread(s), {target.runtime}")
    say(f"whole {format_ms(found.whole_ms)}, input {format_bytes(found.input_bytes)}")
    if not found.points:
        say("no: every cut sends at least what the input is")
        return
    say()
    rows = [
        (
            one.tensor,
            format_bytes(one.sent_bytes),
            format_ms(one.head_ms),
            format_ms(one.tail_ms),
            f"{one.head_ms / found.whole_ms:.0%}",
        )
        for one in found.points
    ]
    say(table(("cut at", "sends", "head", "tail", "head of whole"), rows))


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.rpartition("=")
    try:
        shape = tuple(int(one) for one in sizes.split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape or min(shape) < 1:
        what = f"not a shape: `{text}`"
        raise UsageError(what, where="--shape", hint="write it like image=1,3,224,224")
    return name, shape
