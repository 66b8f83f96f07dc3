"""Networks for tests that can be made bad: two namespaces joined by a cable, or a proxy.

`open_network` gives the real one where that is allowed (Linux, root, iproute2, nftables), and else
says why not and gives a proxy on loopback, which does to connections what the other does to
packets. Nothing is ever sent elsewhere. What a killed process left behind goes at the next start.
"""

import ctypes
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from edgewise.testing.fault import CALM, OF_SERVER, Fault, FaultKind

_PREFIX = "edgewise-"
_PLACES = Path("/run/netns")
_NEAR, _FAR = "10.201.0.1", "10.201.0.2"
_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of the Linux headers."""
_LIMIT_S = 10.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the far end saw, by request id."""

    arrived: Mapping[str, int]
    served: Mapping[str, int]
    """How often an answer with status 200 was begun."""
    deadlines_ms: Mapping[str, float]
    connections: int
    """All that were ever opened."""
    open: int


class Network(Protocol):
    """A way from here to a server that counts. A context manager; any thread may set faults."""

    kind: str
    """`namespaces` or `proxy`."""
    url: str

    def set(self, fault: Fault) -> None:
        """Make it bad in one way, or well again with `CALM`; what was before ends."""
        ...

    def near(self) -> Any:
        """Give a context in which this thread opens its sockets at the near end."""
        ...

    def seen(self) -> Seen:
        """Tell what came to the far end."""
        ...

    def find(self, words: Sequence[str]) -> list[str]:
        """Tell which words came to the far end, in whole requests or in broken ones."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def why_no_namespaces() -> str:
    """Say why network namespaces can't be had here; empty where they can."""
    if not sys.platform.startswith("linux"):
        return "not Linux"
    if os.geteuid() != 0:
        return "not root"
    for tool, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables")):
        if _tool(tool) is None:
            return f"no `{tool}`: install {package}"
    name = f"{_PREFIX}{os.getpid()}-try"
    made = subprocess.run([_ip(), "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        return f"`ip netns add` is refused: {made.stderr.decode().strip()}"
    _run(_ip(), "netns", "del", name)
    return ""


def open_network() -> "Network":
    """Give the best network to be had here; where it is the proxy, standard error says why."""
    why = why_no_namespaces()
    if not why:
        return NamespaceNetwork()
    sys.stderr.write(f"no network namespaces ({why}); a proxy on loopback takes their place\n")
    return ProxyNetwork()


def sweep() -> list[str]:
    """Remove the namespaces of processes that have died; give their names."""
    gone = []
    for path in sorted(_PLACES.glob(f"{_PREFIX}*")):
        owner = path.name.removeprefix(_PREFIX).partition("-")[0]
        if not owner.isdigit() or Path(f"/proc/{owner}").exists():
            continue
        _run(_ip(), "netns", "del", path.name)
        gone.append(path.name)
    return gone


class _Far:
    """The process at the far end, and the talk with it."""

    def __init__(self, host: str, *, within: Sequence[str] = ()) -> None:
        command = [*within, sys.executable, "-m", "edgewise.testing.far_end", host]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()
        self.ports = self._hear()

    def tell(self, order: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._process.stdin is None:
                raise AssertionError("the far end has no input")
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return self._hear()

    def _hear(self) -> dict[str, Any]:
        if self._process.stdout is None or not (line := self._process.stdout.readline()):
            raise AssertionError("the far end has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


class ProxyNetwork:
    """A server behind a proxy, both on loopback: for where namespaces are not allowed."""

    kind = "proxy"

    def __init__(self) -> None:
        self.url = ""
        self._far: _Far | None = None

    def __enter__(self) -> Self:
        self._far = self._open()
        self.url = f"http://{self._host()}:{self._far.ports['proxy']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._opened().close()

    def set(self, fault: Fault) -> None:
        """Make it bad in one way, or well again."""
        self._tell_far(fault)

    @contextmanager
    def near(self) -> Iterator[None]:
        """Do nothing: loopback is near."""
        yield

    def seen(self) -> Seen:
        """Tell what came to the far end."""
        return Seen(**self._opened().tell({}))

    def find(self, words: Sequence[str]) -> list[str]:
        """Tell which words came to the far end."""
        found: list[str] = self._opened().tell({"find": list(words)})["found"]
        return found

    def _tell_far(self, fault: Fault) -> None:
        self._opened().tell({"fault": fault.kind.value, "amount": fault.amount})

    def _host(self) -> str:
        return "127.0.0.1"

    def _open(self) -> _Far:
        return _Far(self._host())

    def _opened(self) -> _Far:
        if self._far is None:
            raise AssertionError("enter the network first")
        return self._far


class NamespaceNetwork(ProxyNetwork):
    """Two network namespaces joined by a pair of virtual Ethernet devices.

    The server and the proxy run in the far one. The proxy only delays; all other faults of the link
    are done to packets or to the device.
    """

    kind = "namespaces"

    def __init__(self) -> None:
        super().__init__()
        name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        self.near_name, self.far_name = f"{name}-near", f"{name}-far"
        self._undo: list[tuple[tuple[str, ...], str]] = []
        self._do: list[tuple[tuple[str, ...], str]] = []

    def __enter__(self) -> Self:
        sweep()
        try:
            for name in (self.near_name, self.far_name):
                _run(_ip(), "netns", "add", name)
                _run(_ip(), "-n", name, "link", "set", "lo", "up")
            _run(
                *(_ip(), "link", "add", "near", "netns", self.near_name),
                *("type", "veth", "peer", "name", "far", "netns", self.far_name),
            )
            for name, device, address in (
                (self.near_name, "near", _NEAR),
                (self.far_name, "far", _FAR),
            ):
                _run(_ip(), "-n", name, "address", "add", f"{address}/30", "dev", device)
                _run(_ip(), "-n", name, "link", "set", device, "up")
            return super().__enter__()
        except BaseException:
            self._remove()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self._remove()

    def set(self, fault: Fault) -> None:
        """Make it bad in one way, or well again."""
        self._do, self._undo = self._undo, []
        here = fault.kind in OF_SERVER or fault.kind is FaultKind.DELAY
        self._tell_far(fault if here else CALM)
        if fault.kind in (FaultKind.LOSS, FaultKind.BLACK_HOLE, FaultKind.RESET):
            self._filter(fault)
        elif fault.kind is FaultKind.RATE:
            self._limit(fault.amount)
        elif fault.kind is FaultKind.CUT:
            self._unplug(self.near_name, "near")
        elif fault.kind is FaultKind.FAR_CUT:
            self._unplug(self.far_name, "far")
        # The far end's process runs them: a fork would hold up the event loop of this one.
        failed = self._opened().tell({"commands": self._do})["failed"]
        if failed:
            raise OSError(failed)

    @contextmanager
    def near(self) -> Iterator[None]:
        """Let this thread, and threads that it starts, open their sockets in the near namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _move_to(_PLACES / self.near_name)
            try:
                yield
            finally:
                _enter(before)
        finally:
            os.close(before)

    def _filter(self, fault: Fault) -> None:
        share = f"numgen random mod 1000 < {round(fault.amount * 1000)} "
        arriving = leaving = f"{share if fault.kind is FaultKind.LOSS else ''}drop"
        if fault.kind is FaultKind.RESET:
            arriving, leaving = "meta l4proto tcp reject with tcp reset", "accept"
        rules = (
            "table inet edgewise {\n"
            f"chain arriving {{\ntype filter hook input priority 0\niifname far {arriving}\n}}\n"
            f"chain leaving {{\ntype filter hook output priority 0\noifname far {leaving}\n}}\n"
            "}\n"
        )
        nft = _needed("nft")
        self._do.append(((nft, "-f", "-"), rules))
        self._undo.append(((nft, "flush", "ruleset"), ""))

    def _limit(self, bytes_per_s: float) -> None:
        bits = f"{round(8 * bytes_per_s)}bit"
        for name, device in ((self.near_name, "near"), (self.far_name, "far")):
            place = (_needed("tc"), "-n", name, "qdisc")
            how = ("root", "tbf", "rate", bits, "burst", "3kb", "latency", "500ms")
            self._do.append(((*place, "add", "dev", device, *how), ""))
            self._undo.append(((*place, "del", "dev", device, "root"), ""))

    def _unplug(self, name: str, device: str) -> None:
        link = (_ip(), "-n", name, "link", "set", device)
        self._do.append(((*link, "down"), ""))
        self._undo.append(((*link, "up"), ""))

    def _host(self) -> str:
        return _FAR

    def _open(self) -> _Far:
        return _Far(self._host(), within=(_ip(), "netns", "exec", self.far_name))

    def _remove(self) -> None:
        for name in (self.near_name, self.far_name):
            if (_PLACES / name).exists():
                _run(_ip(), "netns", "del", name)


def _move_to(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        _enter(descriptor)
    finally:
        os.close(descriptor)


def _enter(descriptor: int) -> None:
    # `os.setns` is there from Python 3.12 on.
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def _tool(name: str) -> str | None:
    return shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")


def _needed(name: str) -> str:
    return _tool(name) or name


def _ip() -> str:
    return _needed("ip")


def _run(*command: str) -> None:
    done = subprocess.run(command, text=True, capture_output=True, timeout=_LIMIT_S, check=False)
    if done.returncode:
        raise OSError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
