"""What an engine does while its network is bad: in time or not, lost, twice, and how soon back.

Between two network namespaces (a proxy on loopback where they are not allowed, and the table says
so), a real edge model and a real server: 50 requests a second of every kind (a fifth for the cloud
alone, half that must not be repeated, a quarter that may wait), with deadlines of 150, 300 and
600 ms. Claims, over the scenarios of 30 % loss and of a link that is down half of the time:
`deadline_missed`, requests that ended more than 10 ms after their deadline, 0; `recovery_s`, the
longest that the cloud stayed away after a return of the link, at most 2. The other faults are in
the table beside them. `lag_ms` is the longest that the event loop slept too long: a busy machine
makes requests late too.

    .venv/bin/python -m benchmarks.route_faults [--repeats 3]
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import claim, write

from edgewise.testing.fault import CALM, EVERY_FAULT, Fault, FaultKind
from edgewise.testing.faults import (
    Account,
    Played,
    engine_for_faults,
    late_answers,
    mixed_requests,
    play,
    settle,
)
from edgewise.testing.network import Network, open_network
from edgewise.testing.route import ListSink

PER_S = 50.0
DEADLINES_MS = (150.0, 300.0, 600.0)
DOWN_S, TURNS = 3.0, 4
Changes = Sequence[tuple[float, Fault]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A run: its changes, and whether the promise is about it."""

    name: str
    changes: Changes
    for_s: float
    promised: bool = False


def scenarios() -> list[Scenario]:
    """Give all of them, the promised ones first."""
    loss = Fault(kind=FaultKind.LOSS, amount=0.3)
    found = [Scenario(name="loss", changes=[(1.0, loss), (16.0, CALM)], for_s=19.0, promised=True)]
    for kind in (FaultKind.CUT, FaultKind.FAR_CUT, FaultKind.BLACK_HOLE):
        changes = [
            (DOWN_S * turn, Fault(kind=kind) if turn % 2 else CALM)
            for turn in range(1, 2 * TURNS + 1)
        ]
        name = f"half_{kind.value}"
        for_s = DOWN_S * (2 * TURNS + 1)
        found.append(Scenario(name=name, changes=changes, for_s=for_s, promised=True))
    for fault in EVERY_FAULT[1:]:
        changes = [(1.0, fault), (5.0, CALM)]
        found.append(Scenario(name=fault.kind.value, changes=changes, for_s=8.0))
    return found


async def run(network: Network, scenario: Scenario, folder: Path) -> tuple[Played, Account]:
    """Play one scenario with an engine of its own."""
    sink = ListSink()
    async with engine_for_faults(network, folder, sink) as engine:
        for number in range(20):
            await engine.predict({"text": f"warm {number}"}, deadline_ms=10_000.0)
        sink.decisions.clear()
        gc.collect()
        gc.freeze()  # As the gateway does once it is ready: a full collection stops the loop 80 ms.
        requests = mixed_requests(round(scenario.for_s * PER_S), DEADLINES_MS)
        played = await play(
            engine, network, requests, every_s=1.0 / PER_S, changes=scenario.changes
        )
        await asyncio.to_thread(network.set, CALM)
        queued = [one.request_id for one in played.ends if one.location == "queued"]
        late = await late_answers(engine, queued, 30.0)
    return played, settle(played, sink, network, late)


def row(played: Played, account: Account) -> dict[str, float]:
    """Give the numbers of a run."""
    seen = played.locations()
    taken_ms = [(one.end_s - one.start_s) * 1000 for one in played.ends]
    return {
        "requests": len(played.ends),
        "edge": seen["edge"],
        "edge_fallback": seen["edge_fallback"],
        "cloud": seen["cloud"] + seen["cloud_fallback"],
        "queued": seen["queued"],
        "said_why_not": seen["DeadlineExceeded"] + seen["TierUnavailable"],
        "late": len(played.late()),
        "late_without_lag": len(played.late(forgive_lag=True)),
        "latest_ms": round(max(one.late_ms for one in played.ends), 1),
        "lost": account.lost,
        "twice": account.twice + played.mixed_up,
        "p95_ms": round(statistics.quantiles(taken_ms, n=20)[-1], 1),
        "recovery_s": round(max(played.recoveries_s(), default=0.0), 2),
        "lag_ms": round(played.lag_ms(), 1),
    }


def main(repeats: int = 3) -> None:
    """Measure, print and keep."""
    rows: list[tuple[Scenario, dict[str, float]]] = []
    with open_network() as network, network.near():
        for scenario in scenarios():
            for _ in range(repeats if scenario.promised else 1):
                with tempfile.TemporaryDirectory(prefix="edgewise-") as name:
                    played, account = asyncio.run(run(network, scenario, Path(name)))
                rows.append((scenario, row(played, account)))
                if len(rows) == 1:
                    print(f"{network.kind:<16}" + "".join(f"{key:>17}" for key in rows[0][1]))
                print(f"{scenario.name:<16}" + "".join(f"{n:>17g}" for n in rows[-1][1].values()))
    promised = [one for scenario, one in rows if scenario.promised]
    peers = {
        "namespaces": float(network.kind == "namespaces"),
        "requests": float(sum(one["requests"] for one in promised)),
        "late_without_lag": float(sum(one["late_without_lag"] for one in promised)),
        "latest_ms": max(one["latest_ms"] for one in promised),
        "lag_ms": max(one["lag_ms"] for one in promised),
        "lost": float(sum(one["lost"] for _, one in rows)),
        "answered_twice": float(sum(one["twice"] for _, one in rows)),
        "late_other_faults": float(
            sum(one["late"] for scenario, one in rows if not scenario.promised)
        ),
    }
    each = {
        f"{scenario.name}_recovery_s": max(
            other["recovery_s"] for which, other in rows if which.name == scenario.name
        )
        for scenario, _ in rows
    }
    missed = sum(one["late"] for one in promised)
    longest_s = max(one["recovery_s"] for one in promised)
    write(
        "route",
        [
            claim("deadline_missed", missed, 0, runs=len(promised), peers=peers),
            claim("recovery_s", longest_s, 2.0, runs=len(promised), peers=each),
        ],
        keep=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    main(parser.parse_args().repeats)
