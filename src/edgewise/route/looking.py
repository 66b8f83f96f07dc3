"""What a request would meet. It is not carried out: nothing leaves the device or is logged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgewise.records import Input, Policy, RequestFacts, Spending, SystemState, Task, TierState
from edgewise.route.calling import affordable, confidence_of
from edgewise.route.clock import Clock
from edgewise.route.decide import allowed_tiers
from edgewise.route.facts import Asked
from edgewise.route.running import Run
from edgewise.route.serving import Serving


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that `decide` reads of one input. Made by `Outlook.look`."""

    policy: Policy
    facts: RequestFacts
    states: Mapping[str, TierState]
    system: SystemState
    confidence: Mapping[str, float]
    """Of the tiers on this machine that could be asked without a price."""


async def _look_at(run: Run, now_s: float, system: SystemState) -> Sight:
    """Look at a request that was accepted; asks the tiers in this process alone."""
    serving, facts = run.serving, run.facts
    states = affordable(run, dict(serving.states(now_s)))
    found: dict[str, float] = {}
    allowed = allowed_tiers(serving.policy, facts)
    if serving.policy.task != Task.TEXT_GENERATION.value:
        for name, model in serving.tiers.items():
            if model.remote or not model.ready or name not in allowed:
                continue
            tier, one = serving.by_name[name], run.one
            found[name] = confidence_of(tier, await model.ask(one, None), facts.input_length)
    return Sight(policy=serving.policy, facts=facts, states=states, system=system, confidence=found)


class Outlook:
    """What decisions are made from at this moment. Made by `HybridInferenceEngine.outlook`."""

    def __init__(
        self,
        serving: Serving,
        clock: Clock,
        accept: Callable[[Input, Asked], Run],
        leave: Callable[[Serving], None],
        system: Callable[[], SystemState],
    ) -> None:
        self._serving, self._clock, self._system = serving, clock, system
        self._accept, self._leave = accept, leave

    def states(self) -> dict[str, TierState]:
        """Give each tier as the decision sees it."""
        return self._serving.states(self._clock.now_s())

    def spent(self, caller: str | None = None) -> Spending | None:
        """Give what all callers, or one, have spent; `None` where no money is counted.

        Reads a file.
        """
        budget = self._serving.budget
        return None if budget is None else budget.spent(caller)

    async def look(self, one: Input, *, caller: str = "") -> Sight:
        """Give what a request would meet. No decision is made, logged or charged.

        Raises
        ------
        InvalidData
            When the input is wrong.
        """
        run = self._accept(one, Asked(caller=caller))
        try:
            return await _look_at(run, self._clock.now_s(), self._system())
        finally:
            self._leave(run.serving)
