"""The replay where decisions hang on how earlier requests went: one event after the other.

Each request is carried as live ones are: `decide` is asked with each tier's state as its monitor
knows it, until it says to end. Monitors, breakers and allowances are those of live traffic, on the
trace's clock. A call's round trip is counted after its service.
"""

from collections.abc import Sequence
from dataclasses import replace

from edgewise.records import (
    Action,
    Attempt,
    Outcome,
    Reason,
    Step,
    SystemState,
    TierPolicy,
    TierState,
)
from edgewise.route.allowance import Allowance
from edgewise.route.breaker import CircuitState
from edgewise.route.candidates import askable, expected_ms, first_able, heard_of
from edgewise.route.decide import late_tiers
from edgewise.route.device import RequestRate
from edgewise.route.monitor import TierMonitor
from edgewise.simulate.answers import right_of
from edgewise.simulate.arriving import Arrivals
from edgewise.simulate.carried import Call, Run
from edgewise.simulate.clockwork import Clockwork
from edgewise.simulate.deciding import Decider
from edgewise.simulate.draws import Draws
from edgewise.simulate.links import Links
from edgewise.simulate.scenario import Scenario, is_remote, learns_links
from edgewise.simulate.servers import Job, Servers
from edgewise.simulate.spending import SpendingBook
from edgewise.simulate.storing import Late, Store
from edgewise.simulate.tally import Tally
from edgewise.simulate.times import TierTimes
from edgewise.simulate.trace import TraceBlock


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
        self._right = right_of(scenario.answers, policy)
        self._confidence: list[float] = scenario.answers.confidence.tolist()
        # What a monitor learns of a link costs far more than the rest, and is used by few policies.
        learns = learns_links(scenario)
        self._monitors = {
            tier.name: TierMonitor(tier, policy, remote=learns and is_remote(tier))
            for tier in policy.tiers
        }
        self._links = Links(scenario.network, scenario.bytes_per_token)
        times = {
            tier.name: TierTimes(tier, scenario.profiles.get(tier.name)) for tier in policy.tiers
        }
        self._arrivals = Arrivals(scenario, self._draws, self._links, times, self._decider.kind_of)
        self._servers: dict[tuple[str, str | None], Servers] = {}
        share = 0.0 if policy.hedge is None else policy.hedge.share
        self._hedges = Allowance(share=share)
        self._book = None if policy.budget is None else SpendingBook(policy.budget)
        counts = any(rule.requests_per_min_above is not None for rule in policy.device)
        self._rate = RequestRate() if counts else None
        self._breaks = bool(scenario.outages) or any(scenario.failure_share.values())
        self._system = SystemState(device=scenario.device, queue_open=policy.offline is not None)
        self._store = self._open_store()
        for tier in policy.tiers:
            tally.tiers[tier.name].servers = tier.servers

    def add(self, block: TraceBlock) -> None:
        """Replay up to the last request of a block."""
        at_s = block.t_s
        self._tally.arrive(at_s)
        self._tally.may_wait |= block.late is not None and bool(block.late.any())
        for run in self._arrivals.runs(block, at_s):
            self._clockwork.run_before(run.began_s, run.number)
            self._hedges.deposit()
            if self._rate is not None:
                self._rate.note(run.began_s)
            self.advance(run, run.began_s)

    def finish(self) -> None:
        """Carry what is left to its end."""
        self._clockwork.run_out()
        self._tally.flush()
        for (name, own), servers in self._servers.items():
            if own is not None:
                tally = self._tally.tiers[name]
                tally.busiest_s = max(tally.busiest_s, servers.busy_s)

    def _open_store(self) -> Store | None:
        rules = self._scenario.policy.offline
        if rules is None:
            return None
        return Store(
            rules,
            self._clockwork,
            self._tally.late,
            reachable=self._is_reachable,
            send=self._send_late,
        )

    def _is_reachable(self, now_s: float) -> bool:
        return any(
            is_remote(tier) and self._monitors[name].circuit(now_s) is not CircuitState.OPEN
            for name, tier in self._by_name.items()
        )

    def _send_late(self, late: Late, now_s: float) -> None:
        """Ask the farthest tier that can be asked, of those that may see the request."""
        allowed = [name for name in reversed(self._names) if name in late.allowed]
        remote = [name for name in allowed if is_remote(self._by_name[name])]
        facts, tiers = late.run.facts, [self._by_name[name] for name in remote]
        able = first_able(tiers, self._states(late.run, now_s), facts.input_bytes)
        facts = replace(facts, allow_late=False, force_location=able or remote[0])
        self.advance(self._arrivals.again(late, facts, now_s), now_s)

    def _system_at(self, now_s: float) -> SystemState:
        """Give what holds for all tiers; the same object while nothing changed."""
        system, drift = self._system, self._scenario.drift
        void = False
        if drift is not None and drift.found_after_s is not None:
            void = now_s >= drift.from_s + drift.found_after_s
        hedges_left = self._hedges.has_one
        if system.certificate_void is not void or system.hedges_left is not hedges_left:
            system = replace(system, certificate_void=void, hedges_left=hedges_left)
        if self._rate is not None:
            per_min = self._rate.per_min(now_s)
            if system.device.requests_per_min != per_min:
                system = replace(system, device=replace(system.device, requests_per_min=per_min))
        self._system = system
        return system

    def _states(self, run: Run, now_s: float) -> dict[str, TierState]:
        states = {name: monitor.state(now_s) for name, monitor in self._monitors.items()}
        if self._book is None:
            return states
        left_usd = self._book.left_nano(now_s) / 1e9
        for name, tier in self._by_name.items():
            price_usd = _price_usd(run, tier)
            if price_usd and (price_usd > left_usd or name in run.broke):
                states[name] = replace(states[name], budget_left=False)
        return states

    def advance(self, run: Run, now_s: float) -> None:
        """Ask the decision, and do what it says."""
        while True:
            run.turn += 1
            elapsed_ms = (now_s - run.began_s) * 1000
            states, system = self._states(run, now_s), self._system_at(now_s)
            attempts: Sequence[Attempt] = run.attempts
            if run.calls:
                racing = run.working_ms(now_s)
                states, attempts = askable(states, racing), heard_of(attempts, racing)
            step = self._decider.step_of(run.kind, run.facts, states, attempts, elapsed_ms, system)
            for reason in step.reasons:
                run.reasons[reason._value_] = None
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
            if run.turn != turn or hedge.tier in run.calls:
                return
            if not self._monitors[hedge.tier].takes(then_s) or not self._hedges.withdraw():
                return
            run.reasons[Reason.HEDGED._value_] = None
            left_ms = None if step.timeout_ms is None else step.timeout_ms - hedge.after_ms
            raced = replace(step, tier=hedge.tier, reasons=(Reason.HEDGED,), timeout_ms=left_ms)
            self._start(run, raced, then_s)

        self._clockwork.at(now_s + hedge.after_ms / 1000, run.number, late)

    def _start(self, run: Run, step: Step, now_s: float) -> bool:
        """Ask a tier, after a pause where one is said; `False` where money or place is wanting."""
        name = step.tier or ""
        if Reason.RETRY in step.reasons and not self._monitors[name].take_retry():
            return False
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
        if not monitor.takes(now_s) or not self._can_pay(run, tier, now_s):
            return False
        began = monitor.begin(now_s, retry=Reason.RETRY in step.reasons)
        call = Call(tier=name, began_s=now_s, number=began)
        run.calls[name] = call
        self._tally.tiers[name].attempts += 1
        service_s, drawn = self._arrivals.chance_of(run, tier)
        at = self._clockwork.at
        if timeout_ms is not None:
            at(now_s + timeout_ms / 1000, run.number, Ending(self, run, call, Outcome.TIMED_OUT))
        if self._breaks:
            call.unreachable = self._is_out(name, now_s)
        if call.unreachable or (self._breaks and self._fails(name)):
            back_s = self._links.rtt_s(tier, drawn, now_s)
            at(now_s + back_s, run.number, Ending(self, run, call, Outcome.FAILED))
            return True

        def served(then_s: float) -> None:
            if call.open:
                back_s = self._links.back_s(tier, drawn, run.output_tokens, then_s)
                at(then_s + back_s, run.number, Ending(self, run, call, Outcome.ANSWERED))

        job = call.job = Job(run.number, service_s, served)

        def arrive(then_s: float) -> None:
            if call.open and not self._servers_of(tier, run.device).come(job, then_s):
                back_s = self._links.rtt_s(tier, drawn, then_s)
                at(then_s + back_s, run.number, Ending(self, run, call, Outcome.FAILED))

        sent_s = self._links.up_s(tier, run.facts.input_bytes, now_s)
        if sent_s > 0.0:
            at(now_s + sent_s, run.number, arrive)
        else:
            arrive(now_s)
        return True

    def _can_pay(self, run: Run, tier: TierPolicy, now_s: float) -> bool:
        price_usd = _price_usd(run, tier)
        if self._book is not None and price_usd and not self._book.reserve(now_s, price_usd):
            run.broke.add(tier.name)
            return False
        return True

    def _is_out(self, name: str, now_s: float) -> bool:
        outages = self._scenario.outages
        return any(one.tier == name and one.from_s <= now_s < one.to_s for one in outages)

    def _fails(self, name: str) -> bool:
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
            scaling = None if tier.queue is None else tier.queue.autoscaling
            tally.most_servers += 0 if scaling is None else scaling.most
            if own is not None:
                tally.lines = sum(name == tier.name for name, _ in self._servers)
                tally.servers = tally.lines * (servers or 1)
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
            run.tried = run.tried or not call.unreachable
        elif outcome is Outcome.TIMED_OUT:
            state = monitor.state(now_s)
            p95_ms = expected_ms(tier, state, sent.input_length, sent.input_bytes)[1]
            monitor.timed_out(call.number, latency_ms, p95_ms, now_s, sent.input_bytes)
        else:
            monitor.abandoned(call.number, latency_ms, now_s, sent.input_bytes)
        job, call.job = call.job, None  # what it would do at its end holds on to the call
        if job is not None and not job.left:
            self._servers_of(tier, run.device).leave(job)
        costs = outcome is not Outcome.FAILED
        price_usd = _price_usd(run, tier) if costs else 0.0
        tally = self._tally.tiers[call.tier]
        tally.paid += costs
        if costs and tier.token_price is not None:
            tally.paid_input_tokens += run.input_tokens
            tally.paid_output_tokens += run.output_tokens
        if self._book is not None and not price_usd:
            self._book.give_back(call.began_s, _price_usd(run, tier))
        answered = outcome is Outcome.ANSWERED
        near = answered and call.tier == self._names[0]
        run.attempts.append(
            Attempt(
                tier=call.tier,
                outcome=outcome,
                latency_ms=latency_ms,
                cost_usd=price_usd,
                confidence=self._confidence[run.row] if near else None,
                error="" if answered else "RemoteError",
                passing=outcome is Outcome.FAILED,
            )
        )

    def _end(self, run: Run, step: Step, now_s: float) -> None:
        while run.calls:
            self.close(run, next(iter(run.calls.values())), Outcome.CANCELLED, now_s)
        answered = step.action is Action.ANSWER and step.tier is not None
        if run.late is not None:
            assert self._store is not None
            if answered:
                self._judge(run, step.tier or "")
            held = not answered and self._is_held(run, run.late, now_s)
            self._store.ended(run.late, now_s, answered=answered, tried=run.tried, held=held)
            return
        tally = self._tally
        for reason in run.reasons:
            tally.reasons[reason] += 1
        if step.action is Action.QUEUE and self._store is not None:
            policy, facts = self._decider.policy, run.facts
            if self._store.put(run, late_tiers(policy, facts, step.allowed, run.attempts), now_s):
                return
        elif answered:
            self._answer(run, step.tier or "", now_s)
            return
        tally.unanswered += 1

    def _is_held(self, run: Run, late: Late, now_s: float) -> bool:
        """Say whether a request can't go now and others may, as live ones are asked."""
        if run.attempts or Reason.BUDGET_SPENT._value_ in run.reasons:
            return not run.attempts
        return Reason.TOO_LARGE._value_ not in run.reasons and any(
            is_remote(tier) and name not in late.allowed and self._monitors[name].takes(now_s)
            for name, tier in self._by_name.items()
        )

    def _answer(self, run: Run, name: str, now_s: float) -> None:
        """Note an answer that its caller waited for."""
        tally = self._tally
        latency_s = now_s - run.began_s
        tally.answer(latency_s)
        tally.tiers[name].final += 1
        deadline_ms = self._scenario.policy.deadline_ms
        tally.missed += deadline_ms is not None and latency_s * 1000 > deadline_ms
        self._judge(run, name)

    def _judge(self, run: Run, name: str) -> None:
        """Note whether an answer is right, where that is known."""
        correct = self._right.get(name)
        if correct is not None:
            wrong = run.wrong and name == self._names[0]
            self._tally.right += 0.0 if wrong else float(correct[run.row])
            self._tally.judged += 1


def _price_usd(run: Run, tier: TierPolicy) -> float:
    """Give what a call costs, with its tokens where they have a price."""
    if tier.token_price is None:
        return tier.usd_per_request
    return tier.usd(round(run.input_tokens), round(run.output_tokens))


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
