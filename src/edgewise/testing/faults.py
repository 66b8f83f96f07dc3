"""Plays requests through an engine over a network that goes bad, and counts what became of them."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgewise.errors import DeadlineExceeded, EdgewiseError, TierUnavailable, UsageError
from edgewise.records import OfflineRules, Policy, Protocol, TierKind, TierPolicy
from edgewise.route import HybridInferenceEngine
from edgewise.route.tiers import LocalTier, RemoteTier
from edgewise.runtimes import RemoteModel, open_bundle
from edgewise.testing.far_end import LABELS, label_of
from edgewise.testing.fault import CALM, Fault
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.network import Network
from edgewise.testing.route import ListSink

_FAR = ("cloud", "cloud_fallback")
_LAG_EVERY_S = 0.005
_LAG_ABOUT_S = 0.1
GRACE_MS = 10.0
"""How long after its deadline a request may end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request to play."""

    text: str
    deadline_ms: float
    force_location: str | None = None
    idempotent: bool = True
    allow_late: bool = False


def policy_for_faults(folder: Path, **changes: Any) -> Policy:
    """Give an edge that is never sure, a cloud, and a queue in a folder."""
    policy = Policy(
        task="text-classification",
        labels=LABELS,
        tiers=(
            TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
            TierPolicy(
                name="cloud",
                kind=TierKind.CLOUD,
                rtt_p50_ms=5.0,
                rtt_p95_ms=20.0,
                usd_per_request=0.01,
            ),
        ),
        offline=OfflineRules(path=str(folder / "queue")),
    )
    return replace(policy, **changes)


def engine_for_faults(
    network: Network, folder: Path, sink: ListSink, policy: Policy | None = None
) -> HybridInferenceEngine:
    """Give an engine with a real edge model and a real connection over a network."""
    bundle = tiny_text_bundle(folder / "bundle", LABELS)
    return HybridInferenceEngine(
        policy=policy_for_faults(folder) if policy is None else policy,
        tiers={
            "edge": LocalTier("edge", open_bundle(bundle)),
            "cloud": RemoteTier(
                lambda: RemoteModel(network.url, protocol=Protocol.JSON, labels=LABELS)
            ),
        },
        decision_log=sink,
    )


def mixed_requests(count: int, deadlines_ms: Sequence[float]) -> list[Wanted]:
    """Give requests of every kind: some forced to the cloud, not to be repeated, or able to wait.

    A fifth has no other tier than the cloud, half must not be repeated, a quarter may wait.
    """
    return [
        Wanted(
            text=f"text {number:06d}",
            deadline_ms=deadlines_ms[number % len(deadlines_ms)],
            force_location="cloud" if number % 5 == 4 else None,
            idempotent=number % 2 == 0,
            allow_late=number % 4 == 2,
        )
        for number in range(count)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of it. Times are seconds of one clock."""

    wanted: Wanted
    start_s: float
    end_s: float
    location: str
    """Empty where it was not answered."""
    error: str = ""
    request_id: str = ""

    @property
    def late_ms(self) -> float:
        """Give how long after its deadline it ended; below 0 where before."""
        return (self.end_s - self.start_s) * 1000 - self.wanted.deadline_ms


@dataclass(slots=True)
class Played:
    """What became of all requests."""

    ends: list[Ended] = field(default_factory=list)
    changes: list[tuple[float, Fault]] = field(default_factory=list)
    """When each fault began. The first moment at which it may have held."""
    lags_ms: list[tuple[float, float]] = field(default_factory=list)
    """How much too late the event loop woke a task that slept, and when."""
    mixed_up: int = 0
    """Answers of the far tier that belong to another text."""

    def locations(self) -> Counter[str]:
        """Count the answers by location, and the errors by name."""
        return Counter(one.location or one.error for one in self.ends)

    def late(self, *, forgive_lag: bool = False) -> list[Ended]:
        """Give those that ended later than they may.

        Parameters
        ----------
        forgive_lag
            Take off what the event loop lagged about then: on a busy machine that is not the
            engine's doing. A promise is held without it.
        """
        return [
            one
            for one in self.ends
            if one.late_ms > GRACE_MS
            and not (forgive_lag and one.late_ms <= GRACE_MS + self._lag_about(one))
        ]

    def lag_ms(self) -> float:
        """Give the longest lag of the event loop."""
        return max((lag for _, lag in self.lags_ms), default=0.0)

    def recoveries_s(self) -> list[float]:
        """Give, for each return of a good network, how long the far tier stayed away.

        That is until the first of ten requests in a row that it answered had its answer. Requests
        that reach into the next fault don't count.
        """
        found = []
        ends = [*[at_s for at_s, _ in self.changes[1:]], float("inf")]
        for (from_s, fault), to_s in zip(self.changes, ends, strict=True):
            if fault != CALM or from_s == self.changes[0][0]:
                continue
            span = [
                one
                for one in self.ends
                if one.start_s >= from_s
                and one.start_s + one.wanted.deadline_ms / 1000 < to_s
                and one.wanted.force_location != "edge"
            ]
            far = [one.location in _FAR for one in span]
            back = [
                one.end_s - from_s for place, one in enumerate(span) if all(far[place : place + 10])
            ]
            found.append(back[0] if back else to_s - from_s)
        return found

    def _lag_about(self, one: Ended) -> float:
        from_s = one.start_s + one.wanted.deadline_ms / 1000 - _LAG_ABOUT_S
        return sum(lag for at_s, lag in self.lags_ms if from_s <= at_s <= one.end_s + _LAG_ABOUT_S)


async def play(
    engine: HybridInferenceEngine,
    network: Network,
    requests: Sequence[Wanted],
    *,
    every_s: float,
    changes: Sequence[tuple[float, Fault]],
) -> Played:
    """Send requests at a steady pace, whatever became of those before, and change the network.

    Parameters
    ----------
    changes
        Seconds from the start, in order, and the fault that begins then.
    """
    played = Played()
    start_s = time.perf_counter()
    played.changes.append((start_s, CALM))
    watching = asyncio.create_task(_watch_lag(played.lags_ms))
    changing = asyncio.create_task(_change(network, changes, start_s, played))
    asked = []
    for number, wanted in enumerate(requests):
        await asyncio.sleep(max(0.0, start_s + number * every_s - time.perf_counter()))
        asked.append(asyncio.create_task(_ask(engine, wanted, played)))
    played.ends = list(await asyncio.gather(*asked))
    await changing
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return played


async def _ask(engine: HybridInferenceEngine, wanted: Wanted, played: Played) -> Ended:
    start_s = time.perf_counter()
    location, error, name = "", "", ""
    try:
        result = await engine.predict(
            {"text": wanted.text},
            wanted.force_location,
            wanted.deadline_ms,
            idempotent=wanted.idempotent,
            allow_late=wanted.allow_late,
        )
        location, name = result.location, result.request_id
        if location in _FAR and result.label != label_of(wanted.text):
            played.mixed_up += 1
    except EdgewiseError as failure:
        error = type(failure).__name__
        if not isinstance(failure, DeadlineExceeded | TierUnavailable):
            raise
    return Ended(
        wanted=wanted,
        start_s=start_s,
        end_s=time.perf_counter(),
        location=location,
        error=error,
        request_id=name,
    )


async def _change(
    network: Network, changes: Sequence[tuple[float, Fault]], start_s: float, played: Played
) -> None:
    for at_s, fault in changes:
        await asyncio.sleep(max(0.0, start_s + at_s - time.perf_counter()))
        played.changes.append((time.perf_counter(), fault))
        await asyncio.to_thread(network.set, fault)


async def _watch_lag(lags_ms: list[tuple[float, float]]) -> None:
    while True:
        before_s = time.perf_counter()
        await asyncio.sleep(_LAG_EVERY_S)
        now_s = time.perf_counter()
        lags_ms.append((now_s, (now_s - before_s - _LAG_EVERY_S) * 1000))


async def late_answers(
    engine: HybridInferenceEngine, ids: Sequence[str], limit_s: float
) -> dict[str, int]:
    """Collect the answers of queued requests; give how often each was answered, and 0 for none."""
    found = dict.fromkeys(ids, 0)
    end_s = time.perf_counter() + limit_s
    while time.perf_counter() < end_s and not all(found.values()):
        for name in engine.late_answers():
            if await engine.late_answer(name) is not None:
                found[name] = found.get(name, 0) + 1
        await asyncio.sleep(0.02)
    for name in ids:
        with suppress(UsageError):  # it was taken, as it should be
            found[name] += await engine.late_answer(name) is not None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whether each request came to one end."""

    lost: int
    """Accepted requests without an end, a logged decision, or their late answer."""
    twice: int
    """Decisions and late answers beyond one, and repeats of requests that must not be repeated."""


def settle(played: Played, sink: ListSink, network: Network, late: dict[str, int]) -> Account:
    """Hold what callers got against what was logged and what the server saw."""
    logged = Counter(one.request_id for one in sink.decisions)
    arrived = network.seen().arrived
    named = [one for one in played.ends if one.request_id]
    lost = sum(not logged[one.request_id] for one in named)
    lost += max(0, len(played.ends) - len(logged))
    lost += sum(not times for times in late.values())
    twice = sum(times - 1 for times in logged.values())
    twice += sum(max(0, times - 1) for times in late.values())
    once = {one.request_id for one in sink.decisions if not one.facts.idempotent}
    twice += sum(max(0, arrived.get(name, 0) - 1) for name in once)
    return Account(lost=lost, twice=twice)
