"""Runs the application on a socket until it is told to stop."""

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgewise import extras
from edgewise.errors import EdgewiseError, InvalidModel
from edgewise.runtimes import open_classifier, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What answers where. Made by `serve` when it listens."""

    address: str
    """A URL."""
    model: str
    """Its name, as requests give it."""


def resolve_bundle(path: Path) -> Path:
    """Give the bundle of a run directory, or the bundle directory itself.

    Raises
    ------
    InvalidModel
        When the path is neither.
    """
    for folder in (path / "bundle", path):
        if (folder / "manifest.json").is_file():
            return folder
    hint = "give a run directory of `edgewise run` or a bundle"
    raise InvalidModel("neither a run nor a bundle", where=str(path), hint=hint)


def serve(
    run: Path,
    *,
    port: int,
    host: str = "127.0.0.1",
    threads: int | None = None,
    delay_ms: tuple[float, float] | None = None,
    fail_rate: float = 0.0,
    seed: int = 0,
    ready: Callable[[Serving], object] = print,
) -> None:
    """Serve a bundle until SIGTERM or SIGINT; what is under way is answered first.

    Parameters
    ----------
    port
        0 takes a free one.
    threads
        By default those that the bundle's manifest names.
    ready
        Called when the socket listens.

    Raises
    ------
    EdgewiseError
        When the address is in use or not this machine's.
    """
    with extras.needed("gateway"):
        import uvicorn  # noqa: PLC0415 - heavy

        from edgewise.gateway.app import build_app  # noqa: PLC0415 - heavy
    folder = resolve_bundle(run)
    manifest = read_manifest(folder)
    listening = _listen(host, port)
    model = open_classifier(folder, threads=threads)
    app = build_app(
        model,
        name=manifest.name,
        rng=np.random.default_rng(seed),
        delay_ms=delay_ms,
        fail_rate=fail_rate,
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    address = f"http://{host}:{listening.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(
                Serving(address=address, model=manifest.name)
            )  # from here on it answers, and heeds signals

    try:
        with suppress(KeyboardInterrupt):  # uvicorn raises it again when all is answered
            Server(config).run(sockets=[listening])
    finally:
        listening.close()
        model.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except OSError as failure:
        made.close()
        taken = failure.errno == errno.EADDRINUSE
        what = "the port is in use" if taken else f"can't listen there: {failure.strerror}"
        hint = "choose another with `--port`, or 0 for a free one"
        raise EdgewiseError(what, where=f"{host}:{port}", hint=hint) from failure
    return made
