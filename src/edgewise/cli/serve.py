"""`edgewise serve`: an engine behind a port."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from edgewise.cli.numbers import FiniteRange
from edgewise.cli.show import print_failure, print_json, say
from edgewise.errors import EdgewiseError, UsageError


@contextmanager
def _no_reload() -> Iterator[None]:
    """Pass over SIGHUP until the gateway heeds it: it has read nothing that it could read again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@click.command("serve")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--host", help="address to listen on [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one [default: 8080]")
@click.option("--workers", type=click.IntRange(1, 256), help="processes on the port [default: 1]")
@click.option(
    "--config", type=click.Path(path_type=Path), help="settings, as docs/gateway.md says them"
)
@click.option("--name", help="of the model in paths [default: as its manifest says]")
@click.option("--log", type=click.Path(path_type=Path), help="keep decisions in this file")
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="of the model [default: as its manifest says]",
)
@click.option(
    "--without-keys", is_flag=True, help="listen beyond this machine although anybody could ask"
)
@click.option(
    "--delay-ms", metavar="P50,P95", help="add a lognormal delay with these quantiles, for demos"
)
@click.option(
    "--fail-rate",
    type=FiniteRange(0.0, 1.0),
    default=0.0,
    help="share of requests answered 503, for demos",
)
@click.option("--seed", type=int, default=0, show_default=True, help="of delays and failures")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object when it listens")
@_no_reload()
def command(
    run: Path,
    config: Path | None,
    delay_ms: str | None,
    fail_rate: float,
    seed: int,
    *,
    as_json: bool,
    **given: Any,
) -> int:
    """Serve RUN until SIGTERM or ^C: a run directory, a policy's file or a bundle."""
    import numpy as np  # noqa: PLC0415 - heavy

    from edgewise.gateway import (  # noqa: PLC0415 - heavy
        Events,
        Faults,
        Serving,
        Settings,
        read_settings,
        serve,
    )

    def ready(now: Serving) -> None:
        if as_json:
            print_json({"address": now.address, "model": now.model, "pid": os.getpid()})
        else:
            say(f"ready: {now.address}")

    log = given.pop("log")
    if log is not None:
        given["log"] = str(log.resolve())
    events = Events()
    try:
        settings = Settings() if config is None else read_settings(config)
        settings = settings.changed(given)
        events = Events(form=settings.events)
        faults = None
        if delay_ms is not None or fail_rate:
            faults = Faults(_quantiles(delay_ms), fail_rate, np.random.default_rng(seed))
        serve(run, settings, file=config, faults=faults, ready=ready, events=events)
    except EdgewiseError as failure:
        if not events.as_json:
            raise
        events.refused("refused", "error", failure)
        return print_failure(failure, as_json=as_json)
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
