"""The replay where decisions hang on how earlier requests went: one event after the other.

Each request is carried as live ones are: `decide` is asked with each tier's state as its monitor
knows it, until it says to end. Monitors, breakers and allowances are those of live traffic, on the
trace's clock. A call's round trip is counted after its service.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgewise.records import (
    Action,
    Attempt,
    Outcome,
    Reason,
    RequestFacts,
    Step,
    SystemState,
    TierPolicy,
    TierState,
)
from edgewise.route.allowance import Allowance
from edgewise.route.candidates import expected_ms
from edgewise.route.device import RequestRate
from edgewise.route.monitor import TierMonitor
from edgewise.simulate.clockwork import Clockwork
from edgewise.simulate.deciding import Decider
from edgewise.simulate.draws import Draws
from edgewise.simulate.network import Network
from edgewise.simulate.scenario import Scenario, is_remote, reads_links
from edgewise.simulate.servers import Job, Servers
from edgewise.simulate.spending import SpendingBook
from edgewise.simulate.tally import Tally
from edgewise.simulate.times import TierTimes
from edgewise.simulate.trace import TraceBlock

Floats = NDArray[np.float64]
_COSTS = (Outcome.ANSWERED, Outcome.TIMED_OUT, Outcome.CANCELLED)


@dataclass(slots=True)
class Call:
    """A tier is asked for a request."""

    tier: str
    began_s: float
    number: int
    """What its monitor calls it."""
    job: Job | None = None
    open: bool = True


class Run:
    """One request on its way."""

    __slots__ = (
        "asked",
        "attempts",
        "began_s",
        "broke",
        "calls",
        "chance",
        "device",
        "facts",
        "input_tokens",
        "number",
        "output_tokens",
        "reasons",
        "row",
        "turn",
        "wrong",
    )

    def __init__(self, number: int, began_s: float, facts: RequestFacts) -> None:
        self.number = number
        self.began_s = began_s
        self.facts = facts
        self.attempts: list[Attempt] = []
        self.calls: dict[str, Call] = {}
        self.asked: set[str] = set()
        """Tiers whose chance is used up."""
        self.broke: set[str] = set()
        self.reasons: dict[Reason, None] = {}
        self.turn = 0
        self.row = 0
        self.wrong = False
        self.chance: dict[str, tuple[float, float]] = {}
        """Service and round trip of the first call, by tier, in seconds."""
        self.device: str | None = None
        self.input_tokens = self.output_tokens = 0.0


class Events:
    """Replays blocks of a trace. Made by `simulate` where `has_feedback` says yes."""

    def __init__(self, scenario: Scenario, tally: Tally) -> None:
        policy = scenario.policy
        self._scenario = scenario
        self._tally = tally
        self._clockwork = Clockwork()
        self._decider = Decider(policy)
        self._draws = Draws(scenario.seed)
        self._by_name = {tier.name: tier for tier in policy.tiers}
        self._names = tuple(self._by_name)
        # What a monitor learns of a link costs far more than the rest, and is used by few policies.
        learns = reads_links(policy)
        self._monitors = {
            tier.name: TierMonitor(tier, policy, remote=learns and is_remote(tier))
            for tier in policy.tiers
        }
        self._times = {
            tier.name: TierTimes(tier, scenario.profiles.get(tier.name)) for tier in policy.tiers
        }
        self._servers: dict[tuple[str, str | None], Servers] = {}
        share = 0.0 if policy.hedge is None else policy.hedge.share
        self._hedges = Allowance(share=share)
        self._book = None if policy.budget is None else SpendingBook(policy.budget)
        counts = any(rule.requests_per_min_above is not None for rule in policy.device)
        self._rate = RequestRate() if counts else None
        for tier in policy.tiers:
            tally.tiers[tier.name].servers = tier.servers

    def add(self, block: TraceBlock) -> None:
        """Replay up to the last request of a block."""
        at_s = block.t_s / self._scenario.rate
        self._tally.arrive(at_s)
        for run in self._runs(block, at_s):
            self._clockwork.run_before(run.began_s, run.number)
            self._hedges.deposit()
            if self._rate is not None:
                self._rate.note(run.began_s)
            self.advance(run, run.began_s)

    def finish(self) -> None:
        """Carry what is left to its end."""
        self._clockwork.run_out()
        self._tally.flush()

    def _runs(self, block: TraceBlock, at_s: Floats) -> Iterator[Run]:
        scenario, n = self._scenario, len(at_s)
        rows = scenario.answers.draw(block, self._draws.uniform("answers", n), scenario.trace)
        chance = {name: self._chance(name, block, at_s) for name in self._names}
        drifts = scenario.drift
        wrong = np.zeros(n, dtype=np.bool_)
        if drifts is not None:
            wrong = (self._draws.uniform("drift", n) < drifts.wrong_share) & (at_s >= drifts.from_s)
        sizes = np.ceil(block.input_tokens * scenario.bytes_per_token)
        for i in range(n):
            facts = RequestFacts(
                request_id=str(block.first + i),
                input_length=int(block.input_tokens[i]),
                input_bytes=int(sizes[i]),
                private=block.private is not None and bool(block.private[i]),
            )
            run = Run(block.first + i, float(at_s[i]), facts)
            run.row, run.wrong = int(rows[i]), bool(wrong[i])
            run.input_tokens = float(block.input_tokens[i])
            run.output_tokens = float(block.output_tokens[i])
            run.device = None if block.devices is None else block.devices[i]
            run.chance = {
                name: (float(service_s[i]), float(rtt_s[i]))
                for name, (service_s, rtt_s) in chance.items()
            }
            yield run

    def _chance(self, name: str, block: TraceBlock, at_s: Floats) -> tuple[Floats, Floats]:
        """Draw service and round trip of each request at a tier, as `flow` does."""
        times, draws, n = self._times[name], self._draws, len(at_s)
        normal = draws.normal(f"service:{name}", n) if times.service_varies else at_s
        service_s = times.service_s(block.input_tokens, block.output_tokens, normal)
        if self._measured(self._by_name[name]) is not None:
            return service_s, draws.uniform(f"network:{name}", n)  # the moment is not known yet
        if times.rtt_varies:
            return service_s, times.rtt_s(draws.normal(f"rtt:{name}", n))
        return service_s, times.rtt_s(np.zeros(n))

    def _system(self, now_s: float) -> SystemState:
        scenario = self._scenario
        device = scenario.device
        if self._rate is not None:
            device = replace(device, requests_per_min=self._rate.per_min(now_s))
        drift = scenario.drift
        void = False
        if drift is not None and drift.found_after_s is not None:
            void = now_s >= drift.from_s + drift.found_after_s
        return SystemState(device=device, certificate_void=void, hedges_left=self._hedges.has_one)

    def _states(self, run: Run, now_s: float) -> dict[str, TierState]:
        states = {name: monitor.state(now_s) for name, monitor in self._monitors.items()}
        if self._book is None:
            return states
        left_usd = self._book.left_nano(now_s) / 1e9
        for name, tier in self._by_name.items():
            price_usd = tier.usd_per_request
            if price_usd and (price_usd > left_usd or name in run.broke):
                states[name] = replace(states[name], budget_left=False)
        return states

    def advance(self, run: Run, now_s: float) -> None:
        """Ask the decision, and do what it says."""
        while True:
            run.turn += 1
            elapsed_ms = (now_s - run.began_s) * 1000
            states = self._states(run, now_s)
            system = self._system(now_s)
            step = self._decider.step(run.facts, states, run.attempts, elapsed_ms, system)
            run.reasons |= dict.fromkeys(step.reasons)
            if step.action is not Action.ASK or step.tier is None:
                self._end(run, step, now_s)
                return
            if step.tier not in run.calls and not self._start(run, step, now_s):
                continue
            if step.hedge is not None:
                self._wait_to_hedge(run, step, now_s)
            return

    def _wait_to_hedge(self, run: Run, step: Step, now_s: float) -> None:
        hedge, turn = step.hedge, run.turn
        assert hedge is not None

        def late(then_s: float) -> None:
            if run.turn != turn or hedge.tier in run.calls or not self._hedges.withdraw():
                return
            run.reasons[Reason.HEDGED] = None
            left_ms = None if step.timeout_ms is None else step.timeout_ms - hedge.after_ms
            raced = replace(step, tier=hedge.tier, reasons=(Reason.HEDGED,), timeout_ms=left_ms)
            self._start(run, raced, then_s)

        self._clockwork.at(now_s + hedge.after_ms / 1000, run.number, late)

    def _start(self, run: Run, step: Step, now_s: float) -> bool:
        """Ask a tier, after a pause where one is said; `False` where the money is not there."""
        name = step.tier or ""
        pause_ms = step.pause_ms
        if step.jitter_ms:
            pause_ms += float(self._draws.stream("jitter").random()) * step.jitter_ms
        if not pause_ms:
            return self._ask(run, name, step, step.timeout_ms, now_s)
        timeout_ms = None if step.timeout_ms is None else max(1.0, step.timeout_ms - pause_ms)
        waiting = Call(tier=name, began_s=now_s, number=-1)
        run.calls[name] = waiting

        def paused(then_s: float) -> None:
            if not waiting.open:
                return
            del run.calls[name]
            if not self._ask(run, name, step, timeout_ms, then_s):
                self.advance(run, then_s)

        self._clockwork.at(now_s + pause_ms / 1000, run.number, paused)
        return True

    def _ask(self, run: Run, name: str, step: Step, timeout_ms: float | None, now_s: float) -> bool:
        tier, monitor = self._by_name[name], self._monitors[name]
        price_usd = tier.usd_per_request
        if self._book is not None and price_usd and not self._book.reserve(now_s, price_usd):
            run.broke.add(name)
            return False
        began = monitor.begin(now_s, retry=Reason.RETRY in step.reasons)
        call = Call(tier=name, began_s=now_s, number=began)
        run.calls[name] = call
        self._tally.tiers[name].attempts += 1
        service_s, drawn = self._take_chance(run, tier)
        at = self._clockwork.at
        if timeout_ms is not None:
            at(now_s + timeout_ms / 1000, run.number, Ending(self, run, call, Outcome.TIMED_OUT))
        if self._is_down(name, now_s):
            at(
                now_s + self._rtt_s(tier, drawn, now_s),
                run.number,
                Ending(self, run, call, Outcome.FAILED),
            )
            return True

        def served(then_s: float) -> None:
            if call.open:
                back_s = self._rtt_s(tier, drawn, then_s) + self._down_s(run, tier, then_s)
                at(then_s + back_s, run.number, Ending(self, run, call, Outcome.ANSWERED))

        job = call.job = Job(run.number, service_s, served)

        def arrive(then_s: float) -> None:
            if call.open and not self._servers_of(tier, run.device).come(job, then_s):
                back_s = self._rtt_s(tier, drawn, then_s)
                at(then_s + back_s, run.number, Ending(self, run, call, Outcome.FAILED))

        sent_s = self._up_s(run, tier, now_s)
        if sent_s > 0.0:
            at(now_s + sent_s, run.number, arrive)
        else:
            arrive(now_s)
        return True

    def _up_s(self, run: Run, tier: TierPolicy, now_s: float) -> float:
        network = self._scenario.network
        if network is None or not is_remote(tier):
            return 0.0
        sent = np.array([run.facts.input_bytes], dtype=np.float64)
        return float(network.up_s(np.array([now_s]), sent)[0])

    def _down_s(self, run: Run, tier: TierPolicy, now_s: float) -> float:
        network = self._scenario.network
        if network is None or not is_remote(tier):
            return 0.0
        back = np.array([run.output_tokens * self._scenario.bytes_per_token])
        return float(network.down_s(np.array([now_s]), back)[0])

    def _take_chance(self, run: Run, tier: TierPolicy) -> tuple[float, float]:
        """Give service and round trip of a call; another call of one request draws anew."""
        name, times = tier.name, self._times[tier.name]
        if name not in run.asked:
            run.asked.add(name)
            return run.chance[name]
        stream = self._draws.stream("again")
        normal = stream.standard_normal(2)
        tokens = np.array([run.input_tokens]), np.array([run.output_tokens])
        service_s = float(times.service_s(*tokens, normal[:1])[0])
        if self._measured(tier) is not None:
            return service_s, float(stream.random())
        return service_s, float(times.rtt_s(normal[1:])[0])

    def _measured(self, tier: TierPolicy) -> Network | None:
        """Give the network whose round trips were measured, where one lies before a tier."""
        network = self._scenario.network
        known = network is not None and network.has_rtt and is_remote(tier)
        return network if known else None

    def _rtt_s(self, tier: TierPolicy, drawn: float, now_s: float) -> float:
        """Give a round trip as it is now; what was drawn is its place where it was measured."""
        network = self._measured(tier)
        if network is None:
            return drawn
        return float(network.rtt_s(np.array([now_s]), np.array([drawn]))[0])

    def _is_down(self, name: str, now_s: float) -> bool:
        outages = self._scenario.outages
        if any(one.tier == name and one.from_s <= now_s < one.to_s for one in outages):
            return True
        share = self._scenario.failure_share.get(name, 0.0)
        return share > 0.0 and float(self._draws.stream(f"failure:{name}").random()) < share

    def _servers_of(self, tier: TierPolicy, device: str | None) -> Servers:
        own = None if is_remote(tier) else device
        found = self._servers.get((tier.name, own))
        if found is None:
            tally = self._tally.tiers[tier.name]
            servers = tier.servers if own is None else tier.servers or 1
            found = Servers(servers, tier.queue, self._clockwork, tally)
            self._servers[(tier.name, own)] = found
            if own is not None:
                mine = sum(name == tier.name for name, _ in self._servers)
                tally.servers = mine * (servers or 1)
        return found

    def close(self, run: Run, call: Call, outcome: Outcome, now_s: float) -> None:
        """End a call: tell its monitor, count its price, keep the attempt."""
        call.open = False
        del run.calls[call.tier]
        if call.number < 0:
            return  # it was still in its pause
        tier, monitor, sent = self._by_name[call.tier], self._monitors[call.tier], run.facts
        latency_ms = (now_s - call.began_s) * 1000
        if outcome is Outcome.ANSWERED:
            monitor.answered(call.number, latency_ms, now_s, sent.input_bytes)
        elif outcome is Outcome.FAILED:
            monitor.failed(call.number, now_s)
        elif outcome is Outcome.TIMED_OUT:
            state = monitor.state(now_s)
            p95_ms = expected_ms(tier, state, sent.input_length, sent.input_bytes)[1]
            monitor.timed_out(call.number, latency_ms, p95_ms, now_s, sent.input_bytes)
        else:
            monitor.abandoned(call.number, latency_ms, now_s, sent.input_bytes)
        if call.job is not None:
            self._servers_of(tier, run.device).leave(call.job)
        price_usd = tier.usd_per_request if outcome in _COSTS else 0.0
        self._tally.tiers[call.tier].paid += outcome in _COSTS
        if self._book is not None and not price_usd:
            self._book.give_back(tier.usd_per_request)
        answered = outcome is Outcome.ANSWERED
        near = answered and call.tier == self._names[0]
        run.attempts.append(
            Attempt(
                tier=call.tier,
                outcome=outcome,
                latency_ms=latency_ms,
                cost_usd=price_usd,
                confidence=float(self._scenario.answers.confidence[run.row]) if near else None,
                error="" if answered else "RemoteError",
                passing=outcome is Outcome.FAILED,
            )
        )

    def _end(self, run: Run, step: Step, now_s: float) -> None:
        for call in list(run.calls.values()):
            self.close(run, call, Outcome.CANCELLED, now_s)
        tally = self._tally
        for reason in run.reasons:
            tally.reasons[reason.value] += 1
        if step.action is not Action.ANSWER or step.tier is None:
            tally.unanswered += 1
            return
        latency_s = now_s - run.began_s
        tally.answer(latency_s)
        tally.tiers[step.tier].final += 1
        deadline_ms = self._scenario.policy.deadline_ms
        tally.missed += deadline_ms is not None and latency_s * 1000 > deadline_ms
        table = self._scenario.answers
        correct = None
        if step.tier == self._names[0]:
            correct = table.near_correct
        elif step.tier == self._names[-1]:
            correct = table.far_correct
        if correct is not None:
            wrong = run.wrong and step.tier == self._names[0]
            tally.right += 0.0 if wrong else float(correct[run.row])
            tally.judged += 1


class Ending:
    """A call ends at a moment, unless it has ended before."""

    __slots__ = ("_call", "_events", "_outcome", "_run")

    def __init__(self, events: Events, run: Run, call: Call, outcome: Outcome) -> None:
        self._events = events
        self._run = run
        self._call = call
        self._outcome = outcome

    def __call__(self, now_s: float) -> None:
        """End it."""
        if self._call.open:
            self._events.close(self._run, self._call, self._outcome, now_s)
            self._events.advance(self._run, now_s)
