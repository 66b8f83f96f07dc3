"""A gateway on a free port of this machine: in a thread of the test's process, or in its own."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from edgewise.gateway import Gateway, Settings
from edgewise.gateway.counting import Counting, Decisions
from edgewise.gateway.http import HttpLimits, HttpServer
from edgewise.gateway.server import listen
from edgewise.route import HybridInferenceEngine


class Running:
    """A gateway that runs. Made by `running`."""

    def __init__(self, url: str, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        self.url, self.gateway, self.loop = url, gateway, loop
        self.client = httpx2.Client(base_url=url)

    def call(self, work: Any) -> Any:
        """Run a coroutine in the gateway's loop and give what it gives."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=20)


@contextmanager
def running(
    make: Callable[[Decisions], HybridInferenceEngine],
    *,
    name: str = "tiny",
    settings: Settings | None = None,
    limits: HttpLimits | None = None,
    **given: Any,
) -> Iterator[Running]:
    """Run a gateway over the engine that `make` gives."""
    found: list[Running] = []
    ready, stop = threading.Event(), asyncio.Event()
    listening = listen("127.0.0.1", 0)

    async def run() -> None:
        decisions = Decisions(Counting(), None)
        async with make(decisions) as engine:
            chosen = Settings() if settings is None else settings
            gateway = Gateway(engine, name=name, settings=chosen, decisions=decisions, **given)
            server = HttpServer(
                gateway.handle,
                limits=limits,
                shed=gateway.shed,
                on_lag=gateway.admission.lagged,
            )
            await server.listen(listening)
            port = listening.getsockname()[1]
            loop = asyncio.get_running_loop()
            found.append(Running(f"http://127.0.0.1:{port}", gateway, loop))
            ready.set()
            await stop.wait()
            await server.drain(5.0)

    def turn() -> None:
        try:
            asyncio.run(run())
        finally:
            ready.set()

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    assert ready.wait(20)
    one = found[0]
    try:
        yield one
    finally:
        one.client.close()
        one.loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        listening.close()


@contextmanager
def served(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `edgewise serve` on a run or a policy; gives the process and its URL."""
    command = [sys.executable, "-m", "edgewise", "serve", str(run), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready: "), process.stderr and process.stderr.read()
        yield process, line.removeprefix("ready: ").strip()
    finally:
        process.kill()
        process.communicate(timeout=20)
