"""The replay where no decision hangs on a queue: whole blocks of requests move from tier to tier.

A request's way follows from its facts and its confidence, so `decide` is asked once for each kind
of request; every other request of the kind goes the same way. Then each tier serves those that
come to it in order of time. Requests that a block has sent on are kept until no later one can come
before them, so blocks are bounded and the result does not depend on where they are cut.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgewise.records import Action, Attempt, Outcome, Policy, Reason, RequestFacts
from edgewise.route.candidates import expected_ms
from edgewise.route.monitor import TierMonitor
from edgewise.simulate.answers import right_of
from edgewise.simulate.deciding import Decider
from edgewise.simulate.draws import Draws
from edgewise.simulate.scenario import Scenario, is_remote
from edgewise.simulate.stations import EachDevice, station_of
from edgewise.simulate.tally import NO_WAIT_S, Tally
from edgewise.simulate.times import TierTimes
from edgewise.simulate.trace import TraceBlock

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
_NOBODY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Which tiers a kind of request asks in turn, and whose answer stands."""

    tiers: tuple[int, ...]
    answer: int
    """-1: nobody's."""
    reasons: tuple[Reason, ...]


@dataclass(slots=True)
class Batch:
    """Requests at one point of their ways, column by column."""

    at_s: Floats
    """When they come to the tier's servers."""
    number: Integers
    began_s: Floats
    input_tokens: Floats
    output_tokens: Floats
    way: Integers
    device: Integers | None
    chance: dict[str, Floats]

    def take(self, which: Flags | Integers | slice) -> "Batch":
        """Give some of them."""
        return Batch(
            at_s=self.at_s[which],
            number=self.number[which],
            began_s=self.began_s[which],
            input_tokens=self.input_tokens[which],
            output_tokens=self.output_tokens[which],
            way=self.way[which],
            device=None if self.device is None else self.device[which],
            chance={name: values[which] for name, values in self.chance.items()},
        )

    def moved(self, at_s: Floats) -> "Batch":
        """Give them at another moment."""
        return replace(self, at_s=at_s)


class Flow:
    """Replays blocks of a trace. Made by `simulate` where `has_feedback` says no."""

    def __init__(self, scenario: Scenario, tally: Tally) -> None:
        policy = scenario.policy
        self._scenario = scenario
        self._tally = tally
        self._names = tuple(tier.name for tier in policy.tiers)
        self._right = right_of(scenario.answers, policy)
        self._ways = Ways(policy)
        self._draws = Draws(scenario.seed)
        self._devices: dict[str, int] = {}
        self._steps = [TierFlow(scenario, place, tally) for place in range(len(policy.tiers))]
        self._waiting: list[list[Batch]] = [[] for _ in policy.tiers]

    def add(self, block: TraceBlock) -> None:
        """Replay the requests of a block."""
        at_s = block.t_s
        self._tally.arrive(at_s)
        self._tally.may_wait |= block.late is not None and bool(block.late.any())
        n = len(at_s)
        table, draws = self._scenario.answers, self._draws
        rows = table.draw(block, draws.uniform("answers", n), self._scenario.trace)
        way = self._ways.of(block, table.confidence[rows], self._scenario.bytes_per_token)
        self._count(way, rows)
        self._count_tokens(way, block)
        chance: dict[str, Floats] = {}
        for step in self._steps:
            chance |= step.chance(draws, n)
        batch = Batch(
            at_s=at_s,
            number=np.arange(block.first, block.first + n),
            began_s=at_s,
            input_tokens=block.input_tokens,
            output_tokens=block.output_tokens,
            way=way,
            device=self._numbers(block),
            chance=chance,
        )
        first = self._ways.next_tier(_NOBODY, way)
        self._send(batch, first)
        self._serve(float(at_s[-1]))

    def finish(self) -> None:
        """Serve what is left."""
        self._serve(np.inf)
        for step in self._steps:
            step.finish()

    def _numbers(self, block: TraceBlock) -> Integers | None:
        if block.devices is None:
            return None
        known = self._devices
        return np.array([known.setdefault(name, len(known)) for name in block.devices])

    def _count(self, way: Integers, rows: Integers) -> None:
        """Note all that does not hang on time: tiers, reasons, money, and who is right."""
        tally = self._tally
        counts = np.bincount(way, minlength=len(self._ways.all))
        answers = self._ways.answers[way]
        for one, count in zip(self._ways.all, counts.tolist(), strict=True):
            if not count:
                continue
            for reason in one.reasons:
                tally.reasons[reason.value] += count
            for place in one.tiers:
                tally.tiers[self._names[place]].attempts += count
                tally.tiers[self._names[place]].paid += count
            if one.answer == _NOBODY:
                tally.unanswered += count
            else:
                tally.tiers[self._names[one.answer]].final += count
        for name, correct in self._right.items():
            given = rows[answers == self._names.index(name)]
            tally.right += float(correct[given].sum())
            tally.judged += len(given)

    def _count_tokens(self, way: Integers, block: TraceBlock) -> None:
        """Note the tokens that are paid for, where they have a price."""
        for place, tier in enumerate(self._scenario.policy.tiers):
            if tier.token_price is None:
                continue
            asked = np.array([place in one.tiers for one in self._ways.all])[way]
            tally = self._tally.tiers[tier.name]
            tally.paid_input_tokens += float(block.input_tokens[asked].sum())
            tally.paid_output_tokens += float(block.output_tokens[asked].sum())

    def _send(self, batch: Batch, tier: Integers) -> None:
        """Put requests before the tiers that they ask now."""
        for place, step in enumerate(self._steps):
            mine = tier == place
            if mine.all():
                self._waiting[place].append(step.arriving(batch))
                return
            if mine.any():
                self._waiting[place].append(step.arriving(batch.take(mine)))

    def _serve(self, until_s: float) -> None:
        """Serve those that come up to a moment, from near to far: nobody is sent back."""
        for place, step in enumerate(self._steps):
            batch = self._due(place, until_s)
            if batch is None:
                continue
            done_s = step.serve(batch)
            after = self._ways.next_tier(place, batch.way)
            ended = after == _NOBODY
            self._tally.latencies_s.add((done_s - batch.began_s)[ended])
            if not ended.all():
                on = ~ended
                self._send(batch.moved(done_s).take(on), after[on])

    def _due(self, place: int, until_s: float) -> Batch | None:
        parts = self._waiting[place]
        if not parts:
            return None
        batch = parts[0] if len(parts) == 1 else _joined(parts)
        if (np.diff(batch.at_s) < 0.0).any() or len(parts) > 1:
            batch = batch.take(np.lexsort((batch.number, batch.at_s)))
        due = int(np.searchsorted(batch.at_s, until_s, side="right"))
        self._waiting[place] = [] if due == len(batch.at_s) else [batch.take(slice(due, None))]
        if not due:
            return None
        return batch if due == len(batch.at_s) else batch.take(slice(0, due))


def _joined(parts: list[Batch]) -> Batch:
    devices = [one.device for one in parts if one.device is not None]

    def join(values: list[Floats]) -> Floats:
        return np.concatenate(values)

    return Batch(
        at_s=join([one.at_s for one in parts]),
        number=np.concatenate([one.number for one in parts]),
        began_s=join([one.began_s for one in parts]),
        input_tokens=join([one.input_tokens for one in parts]),
        output_tokens=join([one.output_tokens for one in parts]),
        way=np.concatenate([one.way for one in parts]),
        device=np.concatenate(devices) if devices else None,
        chance={name: join([one.chance[name] for one in parts]) for name in parts[0].chance},
    )


class Ways:
    """The way of each kind of request, from `decide`."""

    def __init__(self, policy: Policy) -> None:
        self.all: list[Way] = []
        self.answers: Integers = np.zeros(0, dtype=np.int64)
        self._policy = policy
        self._decider = Decider(policy)
        self._states = {
            tier.name: TierMonitor(tier, policy, remote=is_remote(tier)).state(0.0)
            for tier in policy.tiers
        }
        self._place = {tier.name: place for place, tier in enumerate(policy.tiers)}
        self._by_kind: dict[tuple[int, bool], int] = {}
        self._next: Integers = np.zeros((len(policy.tiers) + 1, 0), dtype=np.int64)

    def of(self, block: TraceBlock, confidence: Floats, bytes_per_token: float) -> Integers:
        """Give each request the number of its way."""
        sizes = np.ceil(block.input_tokens * bytes_per_token)
        kinds = self._kinds(block, sizes)
        threshold = self._policy.tiers[0].threshold
        kept = np.zeros(len(kinds), dtype=np.bool_)
        if threshold is not None:
            kept = confidence >= threshold
        code = kinds * 2 + kept
        found = np.zeros(len(kinds), dtype=np.int64)
        for kind in np.flatnonzero(np.bincount(code)).tolist():
            mine = code == kind
            at = int(np.argmax(mine))
            private = block.private is not None and bool(block.private[at])
            facts = RequestFacts(
                request_id="",
                input_length=int(block.input_tokens[at]),
                input_bytes=int(sizes[at]),
                private=private,
            )
            found[mine] = self._way(kind // 2, facts, kept=bool(kind % 2))
        return found

    def next_tier(self, tier: int, way: Integers) -> Integers:
        """Give the tier that requests ask after one, -1 first and last."""
        found: Integers = self._next[tier + 1][way]
        return found

    def _kinds(self, block: TraceBlock, sizes: Floats) -> Integers:
        """Give requests numbers by what moves a comparison in `decide`."""
        kinds = np.zeros(len(sizes), dtype=np.int64)
        if block.private is not None:
            kinds += block.private
        for tier in self._policy.tiers:
            kinds = 2 * kinds + (sizes > tier.max_input_bytes)
            if tier.latency_limit_ms is None:
                continue
            # One question a length that a table knows, and one for all that are longer.
            edges = [limit.up_to_length for limit in tier.latency]
            slow = [
                expected_ms(tier, self._states[tier.name], length, 0)[1] > tier.latency_limit_ms
                for length in (*edges, edges[-1] + 1 if edges else 0)
            ]
            kinds = 2 * kinds + np.array(slow)[np.searchsorted(edges, block.input_tokens)]
        return kinds

    def _way(self, kind: int, facts: RequestFacts, *, kept: bool) -> int:
        known = self._by_kind.get((kind, kept))
        if known is not None:
            return known
        one = self._walk(facts, kept=kept)
        self._by_kind[(kind, kept)] = len(self.all)
        self.all.append(one)
        self.answers = np.array([way.answer for way in self.all])
        column = np.full((len(self._next), 1), _NOBODY)
        for before, after in zip((_NOBODY, *one.tiers), one.tiers, strict=False):
            assert after > before, "a request went back"
            column[before + 1, 0] = after
        self._next = np.hstack([self._next, column])
        return len(self.all) - 1

    def _walk(self, facts: RequestFacts, *, kept: bool) -> Way:
        tiers = self._policy.tiers
        attempts: list[Attempt] = []
        reasons: dict[Reason, None] = {}
        while True:
            step = self._decider.step(facts, self._states, attempts)
            reasons |= dict.fromkeys(step.reasons)
            if step.action is not Action.ASK or step.tier is None:
                break
            near = step.tier == tiers[0].name
            threshold = tiers[0].threshold
            sure = None
            if near and threshold is not None:
                sure = threshold if kept else float(np.nextafter(threshold, -np.inf))
            attempts.append(
                Attempt(tier=step.tier, outcome=Outcome.ANSWERED, latency_ms=0.0, confidence=sure)
            )
        asked = tuple(self._place[one.tier] for one in attempts)
        answered = step.action is Action.ANSWER and step.tier is not None
        return Way(
            tiers=asked,
            answer=self._place[step.tier or ""] if answered else _NOBODY,
            reasons=tuple(reasons),
        )


class TierFlow:
    """One tier: its way in, its servers, and the way back."""

    def __init__(self, scenario: Scenario, place: int, tally: Tally) -> None:
        tier = scenario.policy.tiers[place]
        self._scenario = scenario
        self._times = TierTimes(tier, scenario.profiles.get(tier.name))
        self._network = scenario.network if is_remote(tier) else None
        self._tier = tier
        self._tally = tally.tiers[tier.name]
        self._tally.servers = tier.servers
        self._station = station_of(tier.servers)
        self._shared = True

    def chance(self, draws: Draws, n: int) -> dict[str, Floats]:
        """Draw what the tier leaves to chance, for each request."""
        name, found = self._tier.name, {}
        if self._times.service_varies:
            found[f"service:{name}"] = draws.normal(f"service:{name}", n)
        if self._network is not None and self._network.has_rtt:
            found[f"network:{name}"] = draws.uniform(f"network:{name}", n)
        elif self._times.rtt_varies:
            found[f"rtt:{name}"] = draws.normal(f"rtt:{name}", n)
        return found

    def arriving(self, batch: Batch) -> Batch:
        """Give requests that are sent now as they come to the servers."""
        network = self._network
        if network is None or not network.has_rates:
            return batch
        sent = np.ceil(batch.input_tokens * self._scenario.bytes_per_token)
        return batch.moved(batch.at_s + network.up_s(batch.at_s, sent))

    def serve(self, batch: Batch) -> Floats:
        """Serve requests in order; give when each has its answer."""
        name, times = self._tier.name, self._times
        service_s = times.service_s(
            batch.input_tokens,
            batch.output_tokens,
            batch.chance.get(f"service:{name}", batch.at_s),
        )
        own = batch.device is not None and not is_remote(self._tier)
        if own and self._shared:
            self._station, self._shared = station_of(self._tier.servers, each_device=True), False
        begins_s = self._station.begin(batch.at_s, service_s, batch.device if own else None)
        if isinstance(self._station, EachDevice):
            self._tally.servers, self._tally.lines = self._station.servers, self._station.devices
        self._note(batch.at_s, begins_s, service_s)
        ends_s = begins_s + service_s
        network = self._network
        if network is not None and network.has_rtt:
            back_s = network.rtt_s(ends_s, batch.chance[f"network:{name}"])
        else:
            back_s = times.rtt_s(batch.chance.get(f"rtt:{name}", batch.at_s))
        if network is not None and network.has_rates:
            sent = batch.output_tokens * self._scenario.bytes_per_token
            back_s = back_s + network.down_s(ends_s, sent)
        return ends_s + back_s

    def finish(self) -> None:
        """Say how busy the busiest device was."""
        if isinstance(self._station, EachDevice):
            self._tally.busiest_s = self._station.busiest_s

    def _note(self, at_s: Floats, begins_s: Floats, service_s: Floats) -> None:
        tally = self._tally
        tally.came += len(at_s)
        tally.served += len(at_s)
        tally.service_s += float(service_s.sum())
        if self._tier.servers is not None or not self._shared:
            waits_s = begins_s - at_s
            tally.waiting += int(np.count_nonzero(waits_s > NO_WAIT_S))
            tally.waits_s.add(waits_s)
