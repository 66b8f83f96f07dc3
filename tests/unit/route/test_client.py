"""The client of one endpoint, against a loopback server and a virtual clock."""

import random

import pytest

from edgewise.errors import DeadlineExceeded, RemoteError, UsageError
from edgewise.route.allowance import Allowance
from edgewise.route.client import CloudInferenceClient
from edgewise.testing.endpoints import End, RawEndpoint, Turn
from edgewise.testing.route import FakeClock, FakeEndpoint

GOOD = (200, {"label": "yes", "confidence": 0.9, "probabilities": {"no": 0.1, "yes": 0.9}})
BUSY: tuple[int, object] = (503, {})
TEXT = {"text": "quite a film"}


def client(url: str, clock: FakeClock | None = None, **more: object) -> CloudInferenceClient:
    budget = more.pop("budget", None)
    assert budget is None or isinstance(budget, Allowance)
    timeout_ms = more.pop("timeout_ms", 10_000.0)
    assert isinstance(timeout_ms, float)
    return CloudInferenceClient(
        url,
        labels=("no", "yes"),
        clock=clock or FakeClock(),
        rng=random.Random(7),
        budget=budget,
        timeout_ms=timeout_ms,
    )


def test_an_answer_is_a_plain_dict() -> None:
    with FakeEndpoint([GOOD]) as endpoint, client(endpoint.url) as one:
        answer = one.predict(TEXT)

    assert answer == {
        "prediction": "yes",
        "label": "yes",
        "confidence": 0.9,
        "probabilities": {"no": 0.1, "yes": 0.9},
        "latency_ms": 0.0,
        "tries": 1,
    }


def test_a_busy_endpoint_is_tried_again_after_a_wait() -> None:
    clock = FakeClock()
    with FakeEndpoint([BUSY, BUSY, GOOD]) as endpoint, client(endpoint.url, clock) as one:
        answer = one.predict(TEXT)

    assert answer["tries"] == 3
    assert len(clock.waits_s) == 2
    assert all(
        0.0 <= wait_s <= limit for wait_s, limit in zip(clock.waits_s, (0.1, 0.2), strict=True)
    )


async def test_the_asynchronous_face_does_the_same() -> None:
    clock = FakeClock()
    with FakeEndpoint([BUSY, GOOD, BUSY]) as endpoint:
        async with client(endpoint.url, clock) as one:
            answer = await one.apredict(TEXT)
            with pytest.raises(RemoteError):
                await one.apredict(TEXT)

    assert answer["tries"] == 2
    assert len(clock.waits_s) == 3


async def test_all_tries_of_a_call_have_one_key_and_each_call_another() -> None:
    with FakeEndpoint([BUSY, GOOD, BUSY, GOOD, GOOD]) as endpoint, client(endpoint.url) as one:
        one.predict(TEXT)
        await one.apredict(TEXT)
        one.predict(TEXT)
        await one.aclose()

    keys = [headers["idempotency-key"] for headers in endpoint.headers]
    assert (keys[0], keys[2]) == (keys[1], keys[3])
    assert len(set(keys)) == 3


def test_after_its_retries_the_failure_is_raised() -> None:
    with FakeEndpoint([BUSY]) as endpoint, client(endpoint.url) as one:
        with pytest.raises(RemoteError) as caught:
            one.predict(TEXT)

        assert "503" in caught.value.what
        assert len(endpoint.bodies) == 3


@pytest.mark.parametrize("turn", [(401, {}), (404, {}), (200, {"nonsense": 1})])
def test_what_another_try_can_not_mend_is_not_tried_again(turn: tuple[int, object]) -> None:
    with FakeEndpoint([turn]) as endpoint, client(endpoint.url) as one:
        with pytest.raises(RemoteError):
            one.predict(TEXT)

        assert len(endpoint.bodies) == 1


def busy(retry_after: str, status: int = 429) -> Turn:
    return Turn(status=status, headers=(("retry-after", retry_after),))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_an_endpoint_that_names_a_time_is_left_alone_for_it(status: int) -> None:
    clock = FakeClock()
    answer = Turn(body=b'{"label": "yes", "confidence": 0.9}')
    with RawEndpoint([busy("7", status), answer]) as endpoint, client(endpoint.url, clock) as one:
        told = one.predict(TEXT)

    assert told["tries"] == 2
    assert len(clock.waits_s) == 1
    assert 7.0 <= clock.waits_s[0] <= 7.1


async def test_the_asynchronous_face_leaves_it_alone_too() -> None:
    clock = FakeClock()
    answer = Turn(body=b'{"label": "yes", "confidence": 0.9}')
    with RawEndpoint([busy("3"), answer]) as endpoint:
        async with client(endpoint.url, clock) as one:
            await one.apredict(TEXT)

    assert 3.0 <= clock.waits_s[0] <= 3.1


def test_a_time_beyond_the_limit_is_not_waited_for() -> None:
    clock, budget = FakeClock(), Allowance(burst=1.0)
    with (
        RawEndpoint([busy("10"), busy("11")]) as endpoint,
        client(endpoint.url, clock, budget=budget, timeout_ms=10_000.0) as one,
    ):
        with pytest.raises(RemoteError) as caught:
            one.predict(TEXT)

        assert len(endpoint.asked) == 2

    assert len(clock.waits_s) == 1
    assert (caught.value.status, caught.value.retry_after_s) == (429, 11.0)


def test_a_call_that_is_not_tried_again_leaves_the_budget_alone() -> None:
    budget = Allowance(burst=1.0)
    with (
        RawEndpoint([busy("3600")]) as endpoint,
        client(endpoint.url, budget=budget) as one,
        pytest.raises(RemoteError),
    ):
        one.predict(TEXT)

    assert budget.withdraw()


def test_a_connection_that_breaks_is_tried_again() -> None:
    answer = Turn(body=b'{"label": "yes", "confidence": 0.9}')
    broken = Turn(status=None, end=End.RESET)
    with RawEndpoint([broken, answer]) as endpoint, client(endpoint.url) as one:
        assert one.predict(TEXT)["tries"] == 2


def test_retries_are_a_share_of_the_calls() -> None:
    budget = Allowance(share=0.5, burst=1.0)
    with FakeEndpoint([BUSY]) as endpoint, client(endpoint.url, budget=budget) as one:
        for _ in range(4):
            with pytest.raises(RemoteError):
                one.predict(TEXT)

        assert len(endpoint.bodies) == 4 + 2


def test_an_endpoint_that_is_not_there_is_tried_again() -> None:
    with FakeEndpoint([GOOD]) as endpoint:
        pass
    clock = FakeClock()

    with client(endpoint.url, clock) as one, pytest.raises(RemoteError):
        one.predict(TEXT)

    assert len(clock.waits_s) == 2


def test_a_late_endpoint_is_said_to_be_late() -> None:
    budget = Allowance(burst=1.0)
    late = [(0, None)]
    with (
        FakeEndpoint(late) as endpoint,
        client(endpoint.url, budget=budget, timeout_ms=50.0) as one,
    ):
        with pytest.raises(DeadlineExceeded):
            one.predict(TEXT)

        assert len(endpoint.bodies) == 2


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        CloudInferenceClient("http://127.0.0.1", protocol="smoke")

    assert caught.value.what == "no protocol is called `smoke`"
    assert caught.value.where == "protocol"
    assert caught.value.hint == "one of: json, oip, openai"


def test_a_budget_gives_back_what_calls_earn() -> None:
    budget = Allowance(share=0.1, burst=2.0)

    taken = [budget.withdraw() for _ in range(3)]
    for _ in range(11):
        budget.deposit()

    assert taken == [True, True, False]
    assert budget.withdraw()
    assert not budget.withdraw()
