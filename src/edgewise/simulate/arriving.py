"""What each request of a trace brings: its facts, its row of answers, and what chance gives it."""

from collections.abc import Callable, Hashable, Iterator

import numpy as np
from numpy.typing import NDArray

from edgewise.records import RequestFacts, TierPolicy
from edgewise.simulate.carried import Run
from edgewise.simulate.draws import Draws
from edgewise.simulate.links import Links
from edgewise.simulate.scenario import Scenario
from edgewise.simulate.storing import Late
from edgewise.simulate.times import TierTimes
from edgewise.simulate.trace import TraceBlock

Floats = NDArray[np.float64]
_MOST = 100_000
_MOST_BYTES = 2.0**62


class Arrivals:
    """Makes runs of a trace's requests. Made by `Events`.

    Requests that a decision can't tell apart share their facts.
    """

    def __init__(
        self,
        scenario: Scenario,
        draws: Draws,
        links: Links,
        times: dict[str, TierTimes],
        kind_of: Callable[[RequestFacts], Hashable],
    ) -> None:
        self._scenario = scenario
        self._draws = draws
        self._links = links
        self._times = times
        self._tiers = scenario.policy.tiers
        self._place = {tier.name: place for place, tier in enumerate(self._tiers)}
        self._kind_of = kind_of
        gain = scenario.answers.gain
        prerouted = scenario.policy.preroute is not None
        self._gain: list[float] | None = None if gain is None or not prerouted else gain.tolist()
        self._facts: dict[Hashable, tuple[RequestFacts, Hashable]] = {}

    def runs(self, block: TraceBlock, at_s: Floats) -> Iterator[Run]:
        """Give the requests of a block."""
        scenario, n = self._scenario, len(at_s)
        rows = scenario.answers.draw(block, self._draws.uniform("answers", n), scenario.trace)
        drawn = [self._chance(tier, block, at_s) for tier in self._tiers]
        none = [False] * n
        sent_bytes = np.ceil(block.input_tokens * scenario.bytes_per_token)
        sizes = np.minimum(sent_bytes, _MOST_BYTES).astype(np.int64)
        columns = zip(
            at_s.tolist(),
            rows.tolist(),
            block.input_tokens.tolist(),
            block.output_tokens.tolist(),
            sizes.tolist(),
            none if block.private is None else block.private.tolist(),
            none if block.late is None else block.late.tolist(),
            self._wrong(at_s) or none,
            [None] * n if block.devices is None else block.devices,
            zip(*drawn, strict=True),
            strict=True,
        )
        for number, column in enumerate(columns, block.first):
            moment_s, row, sent, back, size, private, late, wrong, device, chance = column
            gain = None if self._gain is None else self._gain[row]
            made = 0 if gain is None else round(back)
            facts, kind = self._facts_of((int(sent), size, made), gain, private=private, late=late)
            run = Run(number, moment_s, facts, kind)
            run.row, run.wrong, run.device, run.chance = row, wrong, device, chance
            run.input_tokens, run.output_tokens = sent, back
            yield run

    def again(self, late: Late, facts: RequestFacts, now_s: float) -> Run:
        """Give a request that waited once more, as it is sent now."""
        before = late.run
        run = Run(before.number, now_s, facts, self._kind_of(facts))
        run.row, run.wrong, run.device, run.chance = (
            before.row,
            before.wrong,
            before.device,
            before.chance,
        )
        run.input_tokens, run.output_tokens = before.input_tokens, before.output_tokens
        run.asked, run.late = set(before.asked), late
        return run

    def chance_again(self, run: Run, tier: TierPolicy) -> tuple[float, float]:
        """Draw service and round trip of one more call of a request to a tier."""
        stream, times = self._draws.stream("again"), self._times[tier.name]
        normal = stream.standard_normal(2)
        tokens = np.array([run.input_tokens]), np.array([run.output_tokens])
        service_s = float(times.service_s(*tokens, normal[:1])[0])
        if self._links.is_measured(tier):
            return service_s, float(stream.random())
        return service_s, float(times.rtt_s(normal[1:])[0])

    def chance_of(self, run: Run, tier: TierPolicy) -> tuple[float, float]:
        """Give service and round trip of a call; another call of one request draws anew."""
        if tier.name in run.asked:
            return self.chance_again(run, tier)
        run.asked.add(tier.name)
        return run.chance[self._place[tier.name]]

    def _facts_of(
        self, sizes: tuple[int, int, int], gain: float | None, *, private: bool, late: bool
    ) -> tuple[RequestFacts, Hashable]:
        """Give the facts of a request of this length, these bytes and these tokens to be made.

        Only a predicted gain is weighed against the price of tokens; live they are at most bytes.
        """
        length, size, made = sizes
        key = (*sizes, private, late, gain)
        found = self._facts.get(key)
        if found is None:
            facts = RequestFacts(
                request_id="",
                input_length=length,
                input_bytes=size,
                private=private,
                allow_late=late,
                gain=gain,
                input_tokens=0 if gain is None else size,
                output_tokens=made,
            )
            found = facts, self._kind_of(facts)
            if len(self._facts) < _MOST:
                self._facts[key] = found
        return found

    def _wrong(self, at_s: Floats) -> list[bool] | None:
        drift = self._scenario.drift
        if drift is None:
            return None
        drawn = self._draws.uniform("drift", len(at_s)) < drift.wrong_share
        found: list[bool] = (drawn & (at_s >= drift.from_s)).tolist()
        return found

    def _chance(
        self, tier: TierPolicy, block: TraceBlock, at_s: Floats
    ) -> Iterator[tuple[float, float]]:
        """Draw service and round trip of each request at a tier, as `flow` does."""
        name, times, draws, n = tier.name, self._times[tier.name], self._draws, len(at_s)
        normal = draws.normal(f"service:{name}", n) if times.service_varies else at_s
        service_s = times.service_s(block.input_tokens, block.output_tokens, normal)
        if self._links.is_measured(tier):
            back = draws.uniform(f"network:{name}", n)  # the moment is not known yet
        elif times.rtt_varies:
            back = times.rtt_s(draws.normal(f"rtt:{name}", n))
        else:
            back = times.rtt_s(np.zeros(n))
        return zip(service_s.tolist(), back.tolist(), strict=True)
