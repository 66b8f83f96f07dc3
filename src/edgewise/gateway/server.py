"""Runs a gateway on a socket until it is told to stop."""

import asyncio
import errno
import gc
import ipaddress
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from edgewise import __version__, extras
from edgewise.errors import EdgewiseError, InvalidModel, UsageError
from edgewise.gateway.app import Gateway
from edgewise.gateway.boards import Boards
from edgewise.gateway.events import Events
from edgewise.gateway.faults import Faults
from edgewise.gateway.http import HttpServer
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.opening import Subject, name_of, open_gateway
from edgewise.gateway.settings import Settings, beside
from edgewise.gateway.together import Together
from edgewise.gateway.workers import Workers

_YOUNG_OBJECTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What answers where. Made by `serve` when it listens."""

    address: str
    """A URL."""
    model: str
    """Its name, as requests give it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What each process on the port does. Made by `serve`."""

    subject: Subject
    settings: Settings
    file: Path | None
    listening: socket.socket
    tls: ssl.SSLContext | None
    faults: Faults | None
    events: Events


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
    settings: Settings | None = None,
    *,
    file: Path | None = None,
    faults: Faults | None = None,
    ready: Callable[[Serving], object] = print,
    events: Events | None = None,
) -> None:
    """Serve a run, a policy or a bundle until SIGTERM or SIGINT; what is under way is answered.

    SIGHUP reads the policy and its bundle again.

    Parameters
    ----------
    file
        Where the settings were read; their paths are relative to it.
    ready
        Called when the socket listens.
    events
        Told what becomes of the gateway; by default in the form that the settings name.

    Raises
    ------
    EdgewiseError
        When the address is in use, not this machine's, or open to all without keys.
    """
    settings = Settings() if settings is None else settings
    check_exposure(settings)
    if settings.workers > 1 and settings.admin is not None:
        what = "the admin's interface reaches one process, and there are several"
        raise UsageError(what, where="workers", hint="leave out `admin`, or set `workers` to 1")
    subject = find_subject(run)
    events = Events(form=settings.events) if events is None else events
    work = Work(
        subject=subject,
        settings=settings,
        file=file,
        tls=None if settings.tls is None else _tls(settings, file),
        listening=listen(settings.host, settings.port),
        faults=faults,
        events=events,
    )
    events.say("start", version=__version__, workers=settings.workers)

    def told(serving: Serving) -> None:
        events.say("ready", address=serving.address, model=serving.model)
        ready(serving)

    boards = Boards(settings.workers)

    def turn(place: int, heard: Callable[[Serving], object]) -> None:
        with new_runner() as runner:
            runner.run(_run(work, boards, place, heard))

    try:
        if settings.workers == 1:
            turn(0, told)
            return
        name = settings.name or name_of(subject)
        serving = Serving(address=_address(work), model=name)
        Workers(
            settings.workers,
            lambda place, heard: turn(place, lambda _: heard()),
            lambda: told(serving),
            events=events,
        ).run()
    finally:
        work.listening.close()
        boards.close()


def find_subject(path: Path) -> Subject:
    """Say what a path holds: a policy's file, a run with its policy, or a bundle.

    Raises
    ------
    InvalidModel
        When it holds none of them.
    """
    if path.is_file():
        return Subject(policy=path, bundle=None)
    if (path / "policy.json").is_file():
        return Subject(policy=path / "policy.json", bundle=None)
    return Subject(policy=None, bundle=resolve_bundle(path))


def check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine where anybody could ask.

    Raises
    ------
    UsageError
        When there are no keys, and nobody said that none are needed.
    """
    if settings.callers or settings.without_keys or _is_loopback(settings.host):
        return
    what = "anybody who reaches this address could ask: there are no keys"
    hint = "name `callers` in the settings, or say --without-keys"
    raise UsageError(what, where=f"--host {settings.host}", hint=hint)


def listen(host: str, port: int) -> socket.socket:
    """Give a socket that listens.

    Raises
    ------
    EdgewiseError
        When it can't.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
        made.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    except OSError as failure:
        made.close()
        taken = failure.errno == errno.EADDRINUSE
        what = "the port is in use" if taken else f"can't listen there: {failure.strerror}"
        hint = "choose another with `--port`, or 0 for a free one"
        raise EdgewiseError(what, where=f"{host}:{port}", hint=hint) from failure
    return made


async def _run(work: Work, boards: Boards, place: int, ready: Callable[[Serving], object]) -> None:
    settings, events = work.settings, work.events
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    again = asyncio.Event()  # told to read again what is being read
    loop.add_signal_handler(signal.SIGHUP, again.set)
    with ExitStack() as stack:
        gateway = open_gateway(
            work.subject,
            settings,
            file=work.file,
            stack=stack,
            faults=work.faults,
            drain=stop.set,
            events=events,
        )
        async with gateway.engine:
            server = HttpServer(
                _handle(gateway, settings, stack),
                limits=settings.limits.http(),
                shed=gateway.shed,
                on_lag=gateway.admission.lagged,
                on_failure=events.broke,
            )
            loop.add_signal_handler(signal.SIGHUP, lambda: _reload(gateway, loop))
            if again.is_set():
                _reload(gateway, loop)
            # What is there now stays: looking through it again and again would cost a tenth.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
            if len(boards) > 1:
                gateway.together = Together(boards, place, gateway.shared)
                gateway.together.open()
            await server.listen(work.listening, work.tls)
            # From here on it answers, and heeds signals.
            ready(Serving(address=_address(work), model=gateway.name))
            await stop.wait()
            gateway.draining = True
            events.say("drain", in_flight=gateway.admission.in_flight, drain_s=settings.drain_s)
            cut = await server.drain(settings.drain_s)
            await gateway.aclose()
            if gateway.together is not None:
                gateway.together.close()
            events.flush()
            words = f"{cut} requests were cut off after {settings.drain_s:g} s" if cut else ""
            events.say("stopped", words, level="warning" if cut else "info", cut_off=cut)


def _handle(
    gateway: Gateway, settings: Settings, stack: ExitStack
) -> Callable[[Request], Awaitable[Response]]:
    """Give what answers requests: the gateway, within traces where they are wanted."""
    if settings.traces is None:
        return gateway.handle
    with extras.needed("otel"):
        from edgewise.gateway.tracing import open_tracing  # noqa: PLC0415 - an extra
    return open_tracing(gateway, settings.traces, stack)


def _address(work: Work) -> str:
    host = work.settings.host
    scheme = "http" if work.tls is None else "https"
    named = f"[{host}]" if ":" in host else host
    return f"{scheme}://{named}:{work.listening.getsockname()[1]}"


def _reload(gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
    if gateway.draining:
        return

    async def reload() -> None:
        with suppress(EdgewiseError):  # the gateway has told of it
            await gateway.reload()

    gateway.keep(loop.create_task(reload()))


def new_runner() -> asyncio.Runner:
    """Give an event loop: libuv's where it is installed, which takes half the time."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def _tls(settings: Settings, file: Path | None) -> ssl.SSLContext:
    assert settings.tls is not None
    certificate, key = (beside(one, file) for one in (settings.tls.certificate, settings.tls.key))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    try:
        made.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as failure:
        what = "the certificate and its key can't be used"
        hint = "give PEM files that belong together"
        raise UsageError(what, where=f"{certificate}, {key}", hint=hint) from failure
    return made


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
