"""`edgewise profile`: what a bundle costs on this machine, or how several compare."""

from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from edgewise.cli.show import Bars, print_json, say, table, to_stderr
from edgewise.errors import UsageError
from edgewise.records import Comparison, Energy, Input, Profile, encode
from edgewise.units import format_bytes, format_ms, parse_bytes, parse_ms

_GENERATED_INPUTS = 100
_MOST_INPUTS = 400


@click.command("profile")
@click.argument(
    "bundles", metavar="BUNDLE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="CSV or JSONL file with inputs [default: random words or pixels]",
)
@click.option("--column", default="", help="of --data [default: text or image, as the task has it]")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--runtime", default="", help="instead of the one that the bundle names")
@click.option("--batch", metavar="SIZES", help="batch sizes to time [default: 1,8,32]")
@click.option("--memory", metavar="SIZE", help="ask whether it fits, such as 256MiB")
@click.option("--latency-ms", metavar="MS", help="ask whether the p95 is within this")
@click.option("--seed", type=int, default=0, show_default=True, help="of random inputs")
@click.option(
    "--rounds",
    type=click.IntRange(2, 100_000),
    default=120,
    show_default=True,
    help="of a comparison",
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(  # noqa: PLR0913 - one parameter an option
    bundles: tuple[Path, ...],
    *,
    data: Path | None,
    column: str,
    threads: int,
    runtime: str,
    batch: str | None,
    memory: str | None,
    latency_ms: str | None,
    seed: int,
    rounds: int,
    as_json: bool,
) -> int:
    """Measure BUNDLE (or the bundle of a run) in fresh processes on this machine.

    Several are timed in turn on the same inputs, and their ratios to the first are shown: times of
    different hours can't be compared.

    Exit code 3: it does not fit --memory, or its p95 is above --latency-ms.
    """
    folders = [_bundle(path) for path in bundles]
    if len(folders) > 1 and (batch or memory or latency_ms):
        what = "--batch, --memory and --latency-ms are asked of one bundle at a time"
        raise UsageError(what, hint="edgewise profile BUNDLE --memory 256MiB")
    _check_given(len(folders), data)
    sizes = _sizes(batch or "1,8,32")
    limit_bytes = parse_bytes(memory) if memory is not None else None
    limit_ms = parse_ms(latency_ms) if latency_ms is not None else None
    inputs, origin = _inputs(folders[0], data, column, seed)
    if len(folders) > 1:
        from edgewise.profile import Entry, compare  # noqa: PLC0415 - heavy

        entries = [Entry(bundle=one, runtime=runtime, threads=threads) for one in folders]
        with Bars() as bars:
            compared = compare(entries, inputs, rounds=rounds, progress=bars)
        return _answer_comparison(replace(compared, inputs=origin), as_json=as_json)
    from edgewise.profile import measure_whole  # noqa: PLC0415 - heavy

    with Bars() as bars:
        found = measure_whole(
            folders[0],
            inputs,
            threads=threads,
            runtime=runtime,
            batches=sizes,
            limit_bytes=limit_bytes,
            progress=bars,
        )
    return _answer_profile(folders[0], replace(found, inputs=origin), limit_ms, as_json=as_json)


def _check_given(bundles: int, data: Path | None) -> None:
    """Refuse what would be passed over."""
    given = click.get_current_context().get_parameter_source
    if bundles == 1 and given("rounds") is not ParameterSource.DEFAULT:
        what, hint = "rounds are of a comparison", "name more bundles, or leave it out"
        raise UsageError(what, where="--rounds", hint=hint)
    if data is None and given("column") is not ParameterSource.DEFAULT:
        hint = "add --data FILE, or leave it out"
        raise UsageError("a column is of --data", where="--column", hint=hint)


def show_profile(bundle: Path, found: Profile) -> None:
    """Print a profile for people."""
    target = found.target
    say(f"{bundle} on {target.cpu}, {target.threads} thread(s), {_runtime(found)}\n")
    size = format_bytes(found.size_bytes)
    if found.compressed_size_bytes is not None:
        size += f", {format_bytes(found.compressed_size_bytes)} compressed"
    say(f"size         {size}")
    say(f"cold start   {format_ms(found.cold_start_ms)}, of it {format_ms(found.load_ms)} to load")
    say(f"peak memory  {format_bytes(found.peak_memory_bytes)}")
    if found.memory_limit is not None:
        held = found.memory_limit
        verdict = "fits in" if held.fits else "does not fit in"
        say(f"limit        {verdict} {format_bytes(held.limit_bytes)}: {held.happened}")
        say(f"             {held.how}")
    say(f"energy       {_energy(found.energy)}")
    say(f"inputs       {found.inputs}, {found.n} answers timed one at a time\n")
    rows = [
        (f"{one.above_length + 1} to {one.up_to_length}", *_times(one), str(one.n), "")
        for one in found.buckets
    ]
    rate = f"{found.requests_per_s:.4g}" if found.requests_per_s is not None else "–"
    rows.append(("all", *_times(found), str(found.n), rate))
    say(table(("length", "p50", "p95", "p99", "n", "requests/s"), rows))
    if found.batches:
        say()
        batches = [
            (
                str(one.size),
                *_times(one),
                str(one.n),
                f"{one.requests_per_s:.4g}",
                format_bytes(one.peak_memory_bytes),
            )
            for one in found.batches
        ]
        say(table(("batch", "p50", "p95", "p99", "n", "requests/s", "peak memory"), batches))


def show_comparison(found: Comparison) -> None:
    """Print a comparison for people."""
    rows = [
        (
            one.bundle,
            format_ms(one.p50_ms),
            format_ms(one.p95_ms),
            f"{one.ratio:.3f}",
            f"{one.ratio_low:.3f} to {one.ratio_high:.3f}",
        )
        for one in found.contenders
    ]
    interval = f"{found.confidence:.0%} interval"
    say(table(("bundle", "p50", "p95", "ratio", interval), rows))
    say(
        f"\nin turn: {found.sittings} sittings, {found.rounds} rounds of "
        f"{found.inputs_per_round} inputs ({found.inputs})"
    )
    say("a ratio above 1 is slower than the first")


def _answer_profile(bundle: Path, found: Profile, limit_ms: float | None, *, as_json: bool) -> int:
    from edgewise.profile import reasons_against  # noqa: PLC0415 - heavy

    reasons = reasons_against(found, limit_ms)
    if as_json:
        print_json({**encode(found), "holds": not reasons, "reasons": list(reasons)})
    else:
        show_profile(bundle, found)
        if reasons:
            say()
        for reason in reasons:
            say(f"no: {reason}")
    return 3 if reasons else 0


def _answer_comparison(found: Comparison, *, as_json: bool) -> int:
    if as_json:
        print_json(encode(found))
    else:
        show_comparison(found)
    return 0


def _bundle(path: Path) -> Path:
    inside = path / "bundle"
    return inside if (inside / "manifest.json").is_file() else path


def _sizes(text: str) -> list[int]:
    hint = "--batch 1,8,32"
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError as wrong:
        raise UsageError(f"not whole numbers: `{text}`", where="--batch", hint=hint) from wrong
    if not all(1 <= size <= 1024 for size in sizes):
        raise UsageError(f"not from 1 to 1024: `{text}`", where="--batch", hint=hint)
    return sizes


def _inputs(bundle: Path, data: Path | None, column: str, seed: int) -> tuple[list[Input], str]:
    """Give the inputs and whether they are given or generated."""
    from edgewise.runtimes import read_manifest  # noqa: PLC0415 - heavy

    manifest = read_manifest(bundle)
    if data is None:
        import numpy as np  # noqa: PLC0415 - heavy

        from edgewise.tasks import sample_inputs  # noqa: PLC0415 - heavy

        rng = np.random.default_rng(seed)
        return sample_inputs(manifest, bundle, _GENERATED_INPUTS, rng), "generated"
    from edgewise.spec import read_inputs  # noqa: PLC0415 - heavy

    found = read_inputs(data, manifest.task, column)
    if len(found) > _MOST_INPUTS:
        to_stderr(f"{_MOST_INPUTS} of {len(found)} rows are taken, evenly over the file")
        found = [found[i * len(found) // _MOST_INPUTS] for i in range(_MOST_INPUTS)]
    return found, "given"


def _times(one: object) -> tuple[str, str, str]:
    p50, p95, p99 = (format_ms(getattr(one, name)) for name in ("p50_ms", "p95_ms", "p99_ms"))
    return p50, p95, p99


def _runtime(found: Profile) -> str:
    return f"{found.target.runtime} {found.target.runtime_version}"


def _energy(energy: Energy) -> str:
    if energy.joules_per_request is None:
        return f"{energy.origin}: {energy.how}"
    return f"{energy.joules_per_request:.3g} J a request ({energy.origin} by {energy.how})"
