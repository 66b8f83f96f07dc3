"""A gateway on a free port of this machine: in a thread of the test's process, or in its own."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from edgewise.gateway import Gateway, Settings
from edgewise.gateway.counting import Counting, Decisions
from edgewise.gateway.http import HttpLimits, HttpServer
from edgewise.gateway.server import listen
from edgewise.records import Policy, TierKind, TierPolicy, write_json
from edgewise.route import HybridInferenceEngine
from edgewise.runtimes import open_bundle
from edgewise.testing.models import tiny_text_bundle


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
                on_failure=gateway.events.broke,
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


def troubles(said: str) -> list[dict[str, Any]]:
    """Give the events on stderr that are more than what is usual."""
    return [one for one in map(json.loads, said.splitlines()) if one["level"] != "info"]


def next_event(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    """Read what a gateway's process says until it tells of this event."""
    assert process.stderr is not None
    for line in process.stderr:
        one: dict[str, Any] = json.loads(line)
        if one["event"] == name:
            return one
    raise AssertionError(f"it ended without `{name}`")


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


def run_directory(folder: Path, labels: tuple[str, str] = ("negative", "positive")) -> Path:
    """Make what a run leaves: a bundle and a policy that belongs to it."""
    opened = open_bundle(tiny_text_bundle(folder / "bundle", labels))
    policy = Policy(
        task="text-classification",
        labels=opened.labels,
        tiers=(TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5),),
        bundle_sha256=opened.sha256,
    )
    opened.close()
    write_json(folder / "policy.json", policy)
    return folder


class Load:
    """Clients that ask one after the other until told to stop, and what they were answered."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self._url = url
        self.enough = threading.Event()
        self.busy = threading.Event()
        self.ids: list[str] = []
        self.answered: list[tuple[str, float]] = []
        self.failures: list[str] = []
        self.policies: set[str] = set()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self) -> None:
        with httpx2.Client(base_url=self._url) as client:
            while not self.enough.is_set():
                try:
                    answer = client.post("/predict", json={"text": "good"})
                except httpx2.ConnectError:
                    return  # it no longer listens: nothing was taken
                except httpx2.HTTPError as failure:
                    self.failures.append(repr(failure))
                    return
                if answer.status_code != 200:
                    self.failures.append(answer.text)
                request_id = answer.headers["x-edgewise-request-id"]
                self.ids.append(request_id)
                self.answered.append((request_id, time.monotonic()))
                self.policies.add(answer.headers["x-edgewise-policy"])
                if len(self.ids) > 40:
                    self.busy.set()
