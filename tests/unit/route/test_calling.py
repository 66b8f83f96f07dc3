"""What a tier's circuit learns of a call that failed."""

from dataclasses import replace
from pathlib import Path

import pytest
from full_disk import full_disk

from edgewise.errors import RemoteError, TierUnavailable
from edgewise.records import (
    BudgetRules,
    Generation,
    Input,
    Policy,
    Prediction,
    Price,
    RetryRules,
    SpendingLimit,
    TierKind,
    TierPolicy,
    TokenUsage,
)
from edgewise.route import HybridInferenceEngine
from edgewise.route.breaker import CircuitState
from edgewise.testing.route import FakeClock, FakeTier, ListSink

POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(TierPolicy(name="cloud", kind=TierKind.CLOUD, rtt_p50_ms=1.0),),
    retry=RetryRules(most=0),
)


class Refusing:
    """A remote tier that refuses some texts with a status."""

    remote = True
    ready = True

    def __init__(self, status: int) -> None:
        self._status = status

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del timeout_ms, request_id
        if one["text"] == "odd":
            raise RemoteError(f"answered HTTP {self._status}", status=self._status)
        return Prediction("yes", 0.9, (0.1, 0.9))

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (400, CircuitState.CLOSED),
        (413, CircuitState.CLOSED),
        (422, CircuitState.CLOSED),
        (401, CircuitState.OPEN),
        (404, CircuitState.OPEN),
        (500, CircuitState.OPEN),
    ],
)
async def test_a_request_that_is_refused_as_wrong_closes_no_tier_to_the_others(
    status: int, state: CircuitState
) -> None:
    async with HybridInferenceEngine(policy=POLICY, tiers={"cloud": Refusing(status)}) as engine:
        for _ in range(30):
            with pytest.raises(TierUnavailable):
                await engine.predict({"text": "odd"})
        found = engine.circuits()["cloud"]
        if state is CircuitState.CLOSED:
            assert (await engine.predict({"text": "a film"})).label == "yes"

    assert found is state


async def test_an_answer_that_cost_more_than_was_set_aside_is_given_on_a_full_disk_too(
    tmp_path: Path,
) -> None:
    money = BudgetRules(path=str(tmp_path / "budget"), total=SpendingLimit(usd_per_day=1.0))
    price = Price(usd_per_million_tokens_out=5.0)
    cloud = replace(POLICY.tiers[0], usd_per_request=0.001, token_price=price, max_in_flight=1)
    clock, log = FakeClock(), ListSink()
    cheap, dear = (
        Prediction("yes", 0.9, (0.1, 0.9), generation=Generation(text="yes", usage=usage))
        for usage in (TokenUsage(), TokenUsage(output_tokens=1_000_000))
    )
    tier = FakeTier(clock, [cheap, dear], remote=True)
    engine = HybridInferenceEngine(
        policy=replace(POLICY, tiers=(cloud,), budget=money),
        clock=clock,
        tiers={"cloud": tier},
        decision_log=log,
    )

    async with engine:
        await engine.predict({"text": "one"})
        with full_disk():
            result = await engine.predict({"text": "two"})
        with pytest.raises(TierUnavailable):
            await engine.predict({"text": "three"})

    assert result.prediction == "yes"
    assert result.cost == pytest.approx(5.001)
    assert len(log.decisions) == 3
    assert "budget_spent" in [one.value for one in log.decisions[-1].reasons]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_that_the_last_tier_refuses_as_wrong_is_told_as_such(status: int) -> None:
    async with HybridInferenceEngine(policy=POLICY, tiers={"cloud": Refusing(status)}) as engine:
        with pytest.raises(RemoteError) as refused:
            await engine.predict({"text": "odd"})

    assert refused.value.what.startswith(f"tier cloud refuses the request, answered HTTP {status}:")
    assert refused.value.where.startswith("request ")
    assert refused.value.hint == "send another one: this one is refused again"
    assert (refused.value.status, refused.value.blames_request) == (status, True)
