"""The options of a plan, each replayed with the trace of its workload."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgewise.plan import Evidence
from edgewise.records import (
    LATENCY_SHARES,
    EdgeTier,
    LatencyLimit,
    Objective,
    OptionReplay,
    PlanBasis,
    Policy,
    Profile,
    RoutingSpec,
    TierKind,
    TiersSpec,
    TraceReplay,
)
from edgewise.simulate.answers import AnswerTable
from edgewise.simulate.composing import policy_of
from edgewise.simulate.plausible import trace_warnings
from edgewise.simulate.replay import simulate
from edgewise.simulate.scenario import Scenario
from edgewise.simulate.trace import TraceBlock, TraceReader

_ROWS = 10_000
_KEEP = 0.5
"""Threshold of a replay: what is kept has a confidence of 1, what is deferred one of 0."""
_QUARTER_S, _HOUR_S = 900.0, 3600.0
_SHORTEST_S = 2 * _HOUR_S
"""Of a trace that a busiest hour is told of."""
_POOLED = "edge: the next free device takes a request, for want of a column `device`"
_WHOLE = "edge: a device is there for this workload alone, not for {:.4g} of its time"
_ROUNDING = 1e-9


def replay_options(
    basis: PlanBasis, evidence: Evidence, trace: Path, profile: Profile | None = None
) -> TraceReplay:
    """Replay a trace by each option of a plan, and by the hybrid at each other threshold.

    Times are those of the plan: a tier's `service` where there is one, else the profile's by
    length of input, else the evidence's p50 and p95; the way to the cloud by its round trip. The
    edge has a server a device, and each device its own where the trace names devices. An option
    whose times nobody knows is not replayed.

    Raises
    ------
    InvalidData
        When the trace can't be read or holds what can't be.
    """
    own = basis.edge.kind is TierKind.DEVICE
    counts = _Counts(basis.workload.devices if own else None)
    each_its_own = own and next(iter(TraceReader(trace))).devices is not None
    found: list[OptionReplay] = []
    busiest = 0.0
    for option, share in _options(basis, evidence):
        scenario = Scenario(
            policy=_policy(basis, evidence, option, each_its_own=each_its_own),
            answers=_answers(share),
            profiles={} if profile is None or option == "cloud" else {"edge": profile},
            trace=str(trace),
        )
        blocks: Iterable[TraceBlock] = (
            TraceReader(trace) if found else counts.noting(TraceReader(trace))
        )
        seen = simulate(scenario, blocks, shares=LATENCY_SHARES)
        if option == "edge" and "edge" not in seen.unstable:
            busiest = seen.queue["edge"].busiest or 0.0
        near = () if option == "cloud" else _of_devices(basis, each_its_own=each_its_own)
        found.append(
            OptionReplay(
                option=option,
                points=seen.latency_curve,
                unstable={name: seen.queue[name].utilization for name in seen.unstable},
                assumed=(*seen.assumed, *near),
            )
        )
    if not found:
        for _ in counts.noting(TraceReader(trace)):
            pass
    return counts.replay(trace.name, tuple(found), busiest)


def _options(basis: PlanBasis, evidence: Evidence) -> Iterator[tuple[str, float]]:
    """Give each option whose times are known with the share that it defers."""
    timed = evidence.p50_ms is not None and evidence.p95_ms is not None
    near = timed or basis.edge.service is not None
    if near:
        yield "edge", 0.0
    if basis.cloud is None:
        return
    yield "cloud", 1.0
    if near:
        yield "hybrid", evidence.deferral_share
        for share, _ in evidence.deferral_curve:
            yield f"hybrid at {share:.0%}", share


def _policy(basis: PlanBasis, evidence: Evidence, option: str, *, each_its_own: bool) -> Policy:
    """Give the tiers of an option, without limits and rules of live traffic."""
    edge = replace(basis.edge, servers=basis.edge.servers or 1, max_in_flight=None)
    if not each_its_own:
        edge = _pooled(edge, basis.workload.devices * basis.costs.edge.share)
    cloud = None if basis.cloud is None else replace(basis.cloud, max_in_flight=None)
    whole = policy_of(
        TiersSpec(
            edge=None if option == "cloud" else edge,
            cloud=None if option == "edge" else cloud,
            privacy=basis.privacy,
            objective=Objective(),
            routing=RoutingSpec(),
            path=Path(),
        )
    )
    if option == "cloud":
        return whole
    near = replace(whole.tiers[0], threshold=_KEEP)
    if evidence.p50_ms is not None and evidence.p95_ms is not None:
        limit = LatencyLimit(up_to_length=1, p50_ms=evidence.p50_ms, p95_ms=evidence.p95_ms)
        near = replace(near, latency=(limit,))
    return replace(whole, tiers=(near, *whole.tiers[1:]))


def _of_devices(basis: PlanBasis, *, each_its_own: bool) -> Iterator[str]:
    """Say what of a fleet the replay takes for another."""
    share = basis.costs.edge.share
    at_work = basis.workload.devices * share
    if share < 1.0 and (each_its_own or at_work * (basis.edge.servers or 1) < 1.0):
        yield _WHOLE.format(share)
    if not each_its_own and basis.workload.devices > 1:
        yield _POOLED


def _pooled(edge: EdgeTier, devices: float) -> EdgeTier:
    """Give the servers of so many devices as one tier, with all of their lines and bounds."""

    def all_of(each: int, least: int = 1) -> int:
        return max(least, int(each * devices + _ROUNDING))

    queue = edge.queue
    if queue is not None and queue.autoscaling is not None:
        one = queue.autoscaling
        scaling = replace(one, least=all_of(one.least), most=all_of(one.most))
        queue = replace(queue, autoscaling=scaling)
    if queue is not None and queue.most_waiting is not None:
        queue = replace(queue, most_waiting=all_of(queue.most_waiting, 0))
    return replace(edge, servers=all_of(edge.servers or 1), queue=queue)


def _answers(share: float) -> AnswerTable:
    """Give confidences of which a share is below the threshold."""
    places = (np.arange(_ROWS) + 0.5) / _ROWS
    said = f"confidence: a share of {share:.4g} is below the threshold"
    return AnswerTable(confidence=np.where(places < share, 0.0, 1.0), assumed=said)


class _Counts:
    """What a trace is like, noted while its blocks go by.

    Memory follows its quarters of an hour and its devices.

    Made and read by `replay_options`.
    """

    def __init__(self, devices: int | None) -> None:
        self._devices = devices
        self._names: set[str] = set()
        self._requests = self._private = 0
        self._first_s = self._last_s = 0.0
        self._squares = self._longest_gap_s = 0.0
        self._tokens = [0.0, 0.0]
        self._quarters: Counter[int] = Counter()

    def noting(self, blocks: Iterable[TraceBlock]) -> Iterator[TraceBlock]:
        """Hand the blocks on."""
        for block in blocks:
            if not self._requests:
                self._first_s = self._last_s = float(block.t_s[0])
            gaps = np.diff(block.t_s, prepend=self._last_s)
            self._squares += float(np.square(gaps).sum())
            self._longest_gap_s = max(self._longest_gap_s, float(gaps.max()))
            self._last_s = float(block.t_s[-1])
            self._requests += len(block.t_s)
            self._names.update(block.devices or ())
            self._private += 0 if block.private is None else int(block.private.sum())
            self._tokens[0] += float(block.input_tokens.sum())
            self._tokens[1] += float(block.output_tokens.sum())
            quarters, counts = np.unique(
                (block.t_s - self._first_s) // _QUARTER_S, return_counts=True
            )
            for quarter, count in zip(quarters.tolist(), counts.tolist(), strict=True):
                self._quarters[int(quarter)] += count
            yield block

    def replay(self, name: str, options: tuple[OptionReplay, ...], busiest: float) -> TraceReplay:
        """Give the record of a trace that has gone by.

        Parameters
        ----------
        busiest
            Of the busiest device: its work over what its servers can do; 0 where all are one pool.
        """
        span_s, gaps = self._last_s - self._first_s, self._requests - 1
        return TraceReplay(
            trace=name,
            requests=self._requests,
            span_s=span_s,
            per_s=gaps / span_s if span_s > 0.0 else None,
            gap_cv2=max(0.0, self._squares * gaps / span_s**2 - 1.0) if span_s > 0.0 else None,
            peak_ratio=self._peak_ratio(span_s),
            input_tokens=self._tokens[0] / self._requests,
            output_tokens=self._tokens[1] / self._requests,
            options=options,
            private_share=self._private / self._requests,
            warnings=(
                *trace_warnings(
                    requests=self._requests,
                    first_s=self._first_s,
                    span_s=span_s,
                    longest_gap_s=self._longest_gap_s,
                ),
                *self._more_devices(),
                *_swamped(busiest),
            ),
        )

    def _more_devices(self) -> Iterator[str]:
        """Say where more devices answer than are paid for."""
        if self._devices is not None and len(self._names) > self._devices:
            yield f"{len(self._names):,} devices, and workload.devices is {self._devices:,}"

    def _peak_ratio(self, span_s: float) -> float | None:
        """Give the requests of the busiest hour over the mean's; hours begin at quarters."""
        if span_s < _SHORTEST_S:
            return None
        counts = self._quarters
        most = max(sum(counts[begin + step] for step in range(4)) for begin in counts)
        return max(1.0, most / (self._requests * _HOUR_S / span_s))


def _swamped(busiest: float) -> Iterator[str]:
    """Say where one device alone is brought more than it can do."""
    if busiest >= 1.0:
        yield (
            f"the busiest device is brought {busiest:,.3g} times what its servers can do, and its "
            "line grows"
        )
