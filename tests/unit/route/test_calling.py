"""What a tier's circuit learns of a call that failed."""

import pytest

from edgewise.errors import RemoteError, TierUnavailable
from edgewise.records import Input, Policy, Prediction, RetryRules, TierKind, TierPolicy
from edgewise.route import HybridInferenceEngine
from edgewise.route.breaker import CircuitState

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


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_that_the_last_tier_refuses_as_wrong_is_told_as_such(status: int) -> None:
    async with HybridInferenceEngine(policy=POLICY, tiers={"cloud": Refusing(status)}) as engine:
        with pytest.raises(RemoteError) as refused:
            await engine.predict({"text": "odd"})

    assert refused.value.what.startswith(f"tier cloud refuses the request, answered HTTP {status}:")
    assert refused.value.where.startswith("request ")
    assert refused.value.hint == "send another one: this one is refused again"
    assert (refused.value.status, refused.value.blames_request) == (status, True)
