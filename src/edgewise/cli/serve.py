"""`edgewise serve`: a bundle behind a port."""

import os
from pathlib import Path

import click

from edgewise.cli.show import print_json, say
from edgewise.errors import UsageError


@click.command("serve")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 takes a free one",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="of the model [default: as its manifest says]",
)
@click.option(
    "--delay-ms", metavar="P50,P95", help="add a lognormal delay with these quantiles, for demos"
)
@click.option(
    "--fail-rate",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    help="share of requests answered 503, for demos",
)
@click.option("--seed", type=int, default=0, show_default=True, help="of delays and failures")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object when it listens")
def command(
    run: Path,
    host: str,
    port: int,
    threads: int | None,
    delay_ms: str | None,
    fail_rate: float,
    seed: int,
    *,
    as_json: bool,
) -> int:
    """Serve the bundle of RUN (or a bundle directory) until SIGTERM or ^C."""
    from edgewise.gateway import Serving, serve  # noqa: PLC0415 - heavy

    def ready(now: Serving) -> None:
        if as_json:
            print_json({"address": now.address, "model": now.model, "pid": os.getpid()})
        else:
            say(f"ready: {now.address}")

    serve(
        run,
        host=host,
        port=port,
        delay_ms=_quantiles(delay_ms),
        fail_rate=fail_rate,
        threads=threads,
        seed=seed,
        ready=ready,
    )
    return 0


def _quantiles(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        p50, p95 = (float(part) for part in text.split(","))
    except ValueError as wrong:
        raise UsageError(
            f"not two numbers: `{text}`", where="--delay-ms", hint="--delay-ms 60,180"
        ) from wrong
    if not 0 < p50 <= p95:
        raise UsageError(
            f"not 0 < p50 ≤ p95: `{text}`", where="--delay-ms", hint="--delay-ms 60,180"
        )
    return p50, p95
