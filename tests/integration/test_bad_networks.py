"""The networks that tests make bad: each fault does what it says, and nothing is left behind."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewise.errors import DeadlineExceeded, EdgewiseError, RemoteError
from edgewise.records import Protocol
from edgewise.runtimes import RemoteModel
from edgewise.testing.far_end import LABELS, label_of
from edgewise.testing.fault import CALM, EVERY_FAULT, Fault, FaultKind
from edgewise.testing.network import (
    NamespaceNetwork,
    Network,
    ProxyNetwork,
    open_network,
    sweep,
    why_no_namespaces,
)

pytestmark = pytest.mark.integration
LIMIT_MS = 350.0
NAMESPACES = not why_no_namespaces()
KINDS = [ProxyNetwork, NamespaceNetwork] if NAMESPACES else [ProxyNetwork]


async def ask(model: RemoteModel, text: str) -> str:
    try:
        return (await model.apredict({"text": text}, timeout_ms=LIMIT_MS, request_id=text)).label
    except EdgewiseError as failure:
        status = failure.status if isinstance(failure, RemoteError) else None
        return f"{type(failure).__name__} {status or ''}".strip()


async def ends_under(network: Network) -> dict[FaultKind, list[str]]:
    """Ask twice under each fault, and once after it."""
    model = RemoteModel(network.url, protocol=Protocol.JSON, labels=LABELS)
    found = {}
    for fault in EVERY_FAULT:
        network.set(fault)
        name = fault.kind.value
        found[fault.kind] = [await ask(model, f"{name} {turn}") for turn in range(2)]
        network.set(CALM)
        async with asyncio.timeout(10):
            while await ask(model, f"{name} after") != label_of(f"{name} after"):
                pass
    await model.aclose()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_does_what_it_says(kind: type[ProxyNetwork]) -> None:
    with kind() as network, network.near():
        ends = asyncio.run(ends_under(network))
        seen = network.seen()
        words = network.find(["wrong_json 0", "delay after", "never sent"])

    late = DeadlineExceeded.__name__
    for silent in (FaultKind.BLACK_HOLE, FaultKind.HANG, FaultKind.SLOW_LORIS):
        assert ends[silent] == [late, late]
    for broken in (FaultKind.RESET, FaultKind.HALF_ANSWER):
        assert ends[broken] == ["RemoteError"] * 2
    for cut in (FaultKind.CUT, FaultKind.FAR_CUT):
        assert set(ends[cut]) <= {late, "RemoteError"}
    assert ends[FaultKind.WRONG_JSON] == ["RemoteError 200"] * 2
    assert ends[FaultKind.TOO_MANY] == ["RemoteError 429"] * 2
    assert ends[FaultKind.SERVER_ERROR] == ["RemoteError 500"] * 2
    assert ends[FaultKind.UNAVAILABLE] == ["RemoteError 503"] * 2
    assert seen.arrived["hang 0"] == 1
    assert "hang 0" not in seen.served
    assert "too_many 0" not in seen.served
    assert words == ["wrong_json 0", "delay after"]
    assert seen.deadlines_ms["delay after"] == LIMIT_MS


def test_where_namespaces_are_not_allowed_it_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    why = why_no_namespaces()

    network = open_network()

    assert network.kind == ("proxy" if why else "namespaces")
    said = capfd.readouterr().err
    assert said == (
        f"no network namespaces ({why}); a proxy on loopback takes their place\n" if why else ""
    )


def test_what_a_killed_process_left_goes_at_the_next_start() -> None:
    script = (
        "import sys, time\n"
        "from edgewise.testing.network import open_network\n"
        "with open_network() as network:\n"
        "    print(getattr(network, 'far_name', ''), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        process.kill()
    left = bool(name) and Path("/run/netns", name).exists()

    gone = sweep()

    assert left is NAMESPACES
    assert (name in gone) is NAMESPACES
    assert not name or not Path("/run/netns", name).exists()


def test_a_network_that_was_not_entered_says_so() -> None:
    with pytest.raises(AssertionError, match="enter the network first"):
        ProxyNetwork().set(CALM)


def test_a_command_that_fails_is_told() -> None:
    with ProxyNetwork() as network:
        answer = network._opened().tell({"commands": [(["false"], ""), (["true"], "")]})

    assert answer == {"failed": "`false` ended with 1: "}


def test_the_far_end_is_gone_when_its_network_is_left() -> None:
    with ProxyNetwork() as network:
        process = network._opened()._process
        network.set(Fault(kind=FaultKind.HANG))
        start_s = time.monotonic()

    assert process.returncode == 0
    assert time.monotonic() - start_s < 10.0
    with pytest.raises(ValueError, match="closed file"):
        network.seen()
