"""The engine over chats: answers whole and in pieces, over real sockets."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewise import HybridInferenceEngine
from edgewise.errors import (
    AnswerBrokenOff,
    DeadlineExceeded,
    InvalidData,
    PrivacyViolation,
    TierUnavailable,
    UsageError,
)
from edgewise.records import (
    BudgetRules,
    ConfidenceMap,
    HedgeRules,
    OfflineRules,
    Outcome,
    Policy,
    Prediction,
    Price,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    Protocol,
    RetryRules,
    SpendingLimit,
    StreamRules,
    TextConfidence,
    TextScore,
    TierKind,
    TierPolicy,
    TokenLimit,
    TokenUsage,
)
from edgewise.route import AnswerStream
from edgewise.testing.chats import ChatEndpoint, FakeTextTier, Saying
from edgewise.testing.route import FakeClock, FakeTier, ListSink

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]
ASK = {"messages": [{"role": "user", "content": "say something"}]}
SURE = Saying(tokens=("near ", "is ", "sure ", "of ", "it"), logprobs=(-0.01,) * 5)
UNSURE = Saying(tokens=("near ", "is ", "not ", "so ", "sure"), logprobs=(-2.0,) * 5)
FAR = Saying(tokens=("far ", "knows"), logprobs=(-0.1, -0.1))
PRICE = Price(usd_per_million_tokens_in=1e6, usd_per_million_tokens_out=2e6)


Said = Saying | Sequence[Saying]


def policy_of(*urls: str, **more: Any) -> Policy:
    kinds = {"edge": TierKind.DEVICE, "cloud": TierKind.CLOUD}
    tiers = tuple(
        TierPolicy(
            name=name,
            kind=kind,
            threshold=0.5 if name == "edge" else None,
            endpoint=url,
            protocol=Protocol.OPENAI,
            model=name,
            token_price=PRICE if name == "cloud" else None,
        )
        for (name, kind), url in zip(kinds.items(), urls, strict=True)
    )
    rules = StreamRules(commit_after_tokens=2)
    return Policy(task="text-generation", labels=(), tiers=tiers, **{"stream": rules, **more})


class Pair:
    """An engine with two text models behind it, and what it logged."""

    def __init__(self, near: ChatEndpoint, far: ChatEndpoint, policy: Policy) -> None:
        self.near, self.far = near, far
        self.log = ListSink()
        self.engine = HybridInferenceEngine(policy=policy, decision_log=self.log)


@contextmanager
def pair(
    near: Saying | Sequence[Saying], far: Saying | Sequence[Saying], **more: Any
) -> Iterator[Pair]:
    scripts = [[one] if isinstance(one, Saying) else list(one) for one in (near, far)]
    with ChatEndpoint(scripts[0]) as here, ChatEndpoint(scripts[1]) as there:
        yield Pair(here, there, policy_of(here.url, there.url, **more))


async def text_of(stream: AnswerStream) -> str:
    return "".join([piece.text async for piece in stream])


async def read_into(seen: list[str], stream: AnswerStream) -> None:
    async for piece in stream:
        seen.append(piece.text)


async def test_a_whole_answer_has_its_tokens_and_their_probability() -> None:
    with pair(SURE, FAR) as two:
        async with two.engine as engine:
            result = await engine.predict({"prompt": "hi", "temperature": 0, "max_tokens": 9})

    assert result["prediction"] == "near is sure of it"
    assert result["location"] == "edge"
    assert result["confidence"] == pytest.approx(0.99005, abs=1e-5)
    told = result["generation"]
    assert told["logprob"] == pytest.approx(-0.05)
    assert told["mean_logprob"] == pytest.approx(-0.01)
    assert told["usage"]["output_tokens"] == 5
    assert (two.near.bodies[0]["max_tokens"], two.near.bodies[0]["temperature"]) == (9, 0)
    assert "logprobs" not in two.near.bodies[0] or two.near.bodies[0]["logprobs"] is True


async def test_a_doubtful_answer_is_deferred_and_its_tokens_are_paid() -> None:
    with pair(UNSURE, FAR) as two:
        async with two.engine as engine:
            result = await engine.predict(ASK)

    # 7 tokens in at 1 USD, 2 out at 2 USD
    assert (result["prediction"], result["location"]) == ("far knows", "cloud_fallback")
    assert result["cost"] == pytest.approx(11.0)
    logged = two.log.decisions[0]
    assert logged.cost_usd == pytest.approx(11.0)
    assert logged.attempts[1].usage == TokenUsage(input_tokens=7, output_tokens=2)
    assert two.far.bodies[0].get("logprobs") is None


async def test_a_confident_stream_is_handed_out_before_it_has_ended() -> None:
    with pair(replace(SURE, hold_after=3), FAR) as two:
        async with two.engine as engine:
            stream = engine.stream(ASK)
            first = await anext(stream)
            held = two.near.held.wait(0) or await asyncio.to_thread(two.near.held.wait, 10)
            two.near.let_go.set()
            rest = await text_of(stream)

    assert held
    assert first.text + rest == "near is sure of it"
    assert stream.result is not None
    assert stream.result["location"] == "edge"
    assert stream.result["prediction"] == "near is sure of it"
    assert "confident" in stream.result["reasons"]
    assert two.far.bodies == []
    assert [one.outcome for one in two.log.decisions[0].attempts] == [Outcome.ANSWERED]


async def test_a_stream_that_nothing_can_replace_is_handed_out_from_its_first_piece() -> None:
    with pair(replace(UNSURE, hold_after=2), replace(FAR, hold_after=2)) as two:
        async with two.engine as engine:
            private = engine.stream({**ASK, "privacy_flag": True})
            forced = engine.stream(ASK, "cloud")
            firsts = [(await anext(private)).text, (await anext(forced)).text]
            two.near.let_go.set()
            two.far.let_go.set()
            rests = [await text_of(private), await text_of(forced)]

    assert firsts == ["near ", "far "]
    assert rests == ["is not so sure", "knows"]
    assert private.result is not None
    assert private.result["reasons"][-1] == "deferral_impossible"


async def test_a_doubtful_stream_is_replaced_before_a_piece_of_it_was_seen() -> None:
    with pair(replace(UNSURE, hold_after=4), FAR) as two:
        async with two.engine as engine:
            stream = engine.stream(ASK)
            text = await text_of(stream)
            left = await asyncio.to_thread(two.near.client_left.wait, 10)

    assert (text, left) == ("far knows", True)
    assert stream.result is not None
    assert stream.result["location"] == "cloud_fallback"
    assert stream.result["cost"] == pytest.approx(11.0)
    near, far = two.log.decisions[0].attempts
    assert near.confidence == pytest.approx(0.1353, abs=1e-4)
    assert near.usage is not None
    assert near.usage.estimated
    assert far.usage == TokenUsage(input_tokens=7, output_tokens=2)


async def test_the_answer_at_hand_goes_on_where_the_far_tier_fails() -> None:
    with pair(UNSURE, Saying(status=400)) as two:
        async with two.engine as engine:
            stream = engine.stream(ASK)
            text = await text_of(stream)

    assert text == "near is not so sure"
    assert stream.result is not None
    assert stream.result["reasons"][-1] == "fallback"
    assert len(two.near.bodies) == 1


async def test_a_tier_is_asked_again_only_before_its_first_piece() -> None:
    with pair(UNSURE, [Saying(status=503), FAR]) as two:
        async with two.engine as engine:
            text = await text_of(engine.stream(ASK))

    assert text == "far knows"
    assert len(two.far.bodies) == 2


@pytest.mark.parametrize("failure", [{"break_after": 2}, {"fail_after": 2}])
async def test_what_broke_off_says_so_and_nothing_else_is_mixed_in(failure: Any) -> None:
    seen: list[str] = []
    with pair(UNSURE, replace(FAR, **failure)) as two:
        async with two.engine as engine:
            stream = engine.stream(ASK)
            with pytest.raises(AnswerBrokenOff) as caught:
                await read_into(seen, stream)

    assert seen == ["far "]
    assert "the answer broke off: " in caught.value.what
    assert caught.value.what.endswith("; 4 characters of it were handed out")
    assert caught.value.where.endswith(", tier cloud")
    assert caught.value.hint == "drop what came, and ask again"
    assert stream.result is None
    logged = two.log.decisions[0]
    assert logged.error == "AnswerBrokenOff"
    assert [one.outcome for one in logged.attempts] == [Outcome.ANSWERED, Outcome.FAILED]
    assert len(two.far.bodies) == 1


async def test_an_answer_that_is_not_whole_in_time_says_so() -> None:
    seen: list[str] = []
    with pair(replace(SURE, hold_after=4), FAR) as two:
        async with two.engine as engine:
            with pytest.raises(DeadlineExceeded) as caught:
                await read_into(seen, engine.stream(ASK, deadline_ms=700))

    assert seen == ["near ", "is ", "sure "]
    assert caught.value.what.startswith("the answer is not whole, no answer within ")
    assert caught.value.what.endswith("; 13 characters of it were handed out")
    assert caught.value.hint == "allow more time, or ask for fewer tokens"
    assert two.log.decisions[0].attempts[-1].outcome is Outcome.TIMED_OUT


async def test_silence_until_the_deadline_is_told_as_such() -> None:
    with pair(replace(SURE, hold_after=0), FAR) as two:
        async with two.engine as engine:
            with pytest.raises(DeadlineExceeded):
                await text_of(engine.stream(ASK, deadline_ms=200))

    assert two.log.decisions[0].error == "DeadlineExceeded"


async def test_who_leaves_frees_the_tier_and_is_logged() -> None:
    with pair(replace(SURE, hold_after=4), FAR) as two:
        async with two.engine as engine:
            async with engine.stream(ASK) as stream:
                await anext(stream)
            left = await asyncio.to_thread(two.near.client_left.wait, 10)

    assert left
    assert two.log.decisions[0].error == "GeneratorExit"
    assert two.log.decisions[0].attempts[0].outcome is Outcome.CANCELLED


async def test_the_whole_answer_is_held_back_where_the_rules_say_so() -> None:
    late_doubt = replace(UNSURE, logprobs=(-0.01, -0.01, -9.0, -9.0, -9.0))
    with pair(late_doubt, FAR, stream=StreamRules(commit_after_tokens=None)) as two:
        async with two.engine as engine:
            text = await text_of(engine.stream(ASK))

    assert text == "far knows"


async def test_a_score_of_the_first_token_needs_no_more_of_them() -> None:
    with pair(replace(SURE, hold_after=2, margin=0.9), FAR) as two:
        policy = two.engine.policy
        first = TextConfidence(score=TextScore.FIRST_MARGIN, map=ConfidenceMap())
        edge = replace(policy.tiers[0], text_confidence=first)
        rules = StreamRules(commit_after_tokens=None)
        other = replace(policy, tiers=(edge, policy.tiers[1]), stream=rules)
        async with HybridInferenceEngine(policy=other) as engine:
            stream = engine.stream(ASK)
            piece = await anext(stream)
            two.near.let_go.set()
            rest = await text_of(stream)
        await two.engine.aclose()

    assert (piece.text, rest) == ("near ", "is sure of it")


async def test_personal_data_is_hidden_from_the_cloud_and_restored_in_pieces() -> None:
    said = Saying(
        tokens=("sent to <EM", "AIL", "_1>", ", done"),
        tool_calls=(("mail", '{"to": "<EMAIL_1>"}'),),
    )
    redact = PrivacyActions(by_kind={"email": PrivacyAction.REDACT})
    rules = PrivacyRules(detect=("email",), actions=redact)
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": "ana\\u0040example.org"}'}}
    chat = [{"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "go on"}]
    with pair(UNSURE, said, privacy=rules) as two:
        async with two.engine as engine:
            stream = engine.stream({"messages": chat}, "cloud")
            text = await text_of(stream)
            whole = await engine.predict({"messages": chat}, "cloud")

    sent = str(two.far.bodies)
    assert "example.org" not in sent
    assert "<EMAIL_1>" in sent
    for result in (stream.result, whole):
        assert result is not None
        assert result["prediction"] == text == "sent to ana@example.org, done"
        assert result["generation"]["tool_calls"][0]["arguments"] == '{"to": "ana@example.org"}'


async def test_a_chat_that_can_not_be_hidden_holds_no_place_and_no_money(tmp_path: Path) -> None:
    redact = PrivacyActions(by_kind={"email": PrivacyAction.REDACT})
    rules = PrivacyRules(detect=("email",), actions=redact)
    nested: dict[str, Any] = {}
    for _ in range(300):
        nested = {"a": nested}
    tool = {"type": "function", "function": {"name": "f", "parameters": nested}}
    says = {"role": "user", "content": "write to ana@example.org"}
    money = BudgetRules(path=str(tmp_path / "budget"), total=SpendingLimit(usd_per_day=3000.0))
    with pair(UNSURE, FAR, privacy=rules, budget=money) as two:
        near, far = two.engine.policy.tiers
        full = replace(two.engine.policy, tiers=(near, replace(far, max_in_flight=1)))
        async with HybridInferenceEngine(policy=full) as engine:
            texts = [
                await text_of(engine.stream({"messages": [says], "max_tokens": 50, **more}))
                for more in ({"tools": [tool]}, {})
            ]
            budget = engine._serving.budget
            assert budget is not None
            left_usd = budget.left_usd("")

    assert texts == ["near is not so sure", "far knows"]
    assert left_usd > 2900.0


async def test_a_private_chat_stays_near() -> None:
    rules = PrivacyRules(detect=("email",))
    chat = {"messages": [{"role": "system", "content": "I am ana@example.org"}, *ASK["messages"]]}
    with pair(UNSURE, FAR, privacy=rules) as two:
        async with two.engine as engine:
            text = await text_of(engine.stream(chat))
            with pytest.raises(PrivacyViolation):
                await text_of(engine.stream(chat, "cloud"))

    assert text == "near is not so sure"
    assert two.far.bodies == []


@pytest.mark.parametrize("far", [Saying(fail_after=0), Saying(tokens=(), break_after=0)])
async def test_a_stream_that_began_and_brought_nothing_may_have_cost_the_most(far: Saying) -> None:
    with pair(SURE, far, retry=RetryRules(most=0)) as two:
        async with two.engine as engine:
            with pytest.raises(TierUnavailable):
                await text_of(engine.stream({**ASK, "max_tokens": 50}, "cloud"))

    [attempt] = two.log.decisions[0].attempts
    assert attempt.outcome is Outcome.FAILED
    assert attempt.cost_usd > 100.0


async def test_a_budget_holds_the_most_that_a_call_can_cost_and_settles_what_it_did(
    tmp_path: Path,
) -> None:
    limit = SpendingLimit(usd_per_day=400.0)
    rules = BudgetRules(path=str(tmp_path / "budget"), total=limit)
    with pair(UNSURE, [replace(FAR, hold_after=2), FAR], budget=rules) as two:
        async with two.engine as engine:
            budget = engine._serving.budget
            assert budget is not None
            # at most 119 bytes and 32 tokens in, and 50 out at 2 USD
            stream = engine.stream({**ASK, "max_tokens": 50})
            await anext(stream)
            while_it_runs = budget.left_usd("")
            two.far.let_go.set()
            await text_of(stream)
            after = budget.left_usd("")
            too_dear = engine.stream({**ASK, "max_tokens": 500})
            text = await text_of(too_dear)

    assert 400.0 - while_it_runs > 100.0
    assert after == pytest.approx(389.0)
    assert text == "near is not so sure"
    assert too_dear.result is not None
    assert "budget_spent" in too_dear.result["reasons"]


async def test_each_tier_is_told_the_most_tokens_by_the_name_that_it_takes(tmp_path: Path) -> None:
    rules = BudgetRules(path=str(tmp_path / "budget"), total=SpendingLimit(usd_per_day=400.0))
    with pair(UNSURE, FAR, budget=rules) as two:
        near, far = two.engine.policy.tiers
        newer = replace(far, token_limit=TokenLimit.MAX_COMPLETION_TOKENS)
        policy = replace(two.engine.policy, tiers=(near, newer))
        async with HybridInferenceEngine(policy=policy) as engine:
            await engine.predict({**ASK, "max_completion_tokens": 9})
            too_dear = await engine.predict({**ASK, "max_completion_tokens": 500})

    told = [two.near.bodies[0], two.far.bodies[0]]
    assert [body.get("max_tokens") for body in told] == [9, None]
    assert [body.get("max_completion_tokens") for body in told] == [None, 9]
    assert "budget_spent" in too_dear["reasons"]
    assert len(two.far.bodies) == 1


@pytest.mark.parametrize("streamed", [True, False])
async def test_tokens_that_nobody_told_are_counted_and_marked(streamed: bool) -> None:
    with pair(SURE, replace(FAR, usage=False)) as two:
        async with two.engine as engine:
            if streamed:
                stream = engine.stream(ASK, "cloud")
                await text_of(stream)
                result = stream.result
            else:
                result = await engine.predict(ASK, "cloud")

    assert result is not None
    usage = result["generation"]["usage"]
    assert usage["estimated"]
    assert usage["output_tokens"] in (2, 3)
    assert usage["input_tokens"] > 7
    assert result["cost"] == pytest.approx(usage["input_tokens"] + 2 * usage["output_tokens"])


async def test_streams_are_not_hedged() -> None:
    with pair(replace(SURE, hold_after=0), FAR, hedge=HedgeRules(share=1.0)) as two:
        async with two.engine as engine:
            with pytest.raises(TierUnavailable):
                await text_of(engine.stream(ASK, deadline_ms=300))

    assert all("hedged" not in str(one.reasons) for one in two.log.decisions)


async def test_a_tier_without_streams_gives_its_answer_in_one_piece() -> None:
    policy = policy_of("http://127.0.0.1:9", "http://127.0.0.1:9")
    tier = FakeTier(FakeClock(), [Prediction("all at once", 0.9, ())])
    async with HybridInferenceEngine(policy=policy, tiers={"edge": tier}) as engine:
        pieces = [piece.text async for piece in engine.stream(ASK)]

    assert pieces == ["all at once"]


async def test_a_classifier_has_no_streams() -> None:
    policy = replace(
        policy_of("http://127.0.0.1:9", "http://127.0.0.1:9"), task="text-classification"
    )
    async with HybridInferenceEngine(policy=policy) as engine:
        with pytest.raises(UsageError) as caught:
            await anext(engine.stream({"text": "hi"}))

    assert caught.value.what == "only text comes in pieces"
    assert caught.value.where == "stream"
    assert caught.value.hint == "ask `predict`, or give a policy whose task is text-generation"


async def test_a_tier_of_another_protocol_has_no_chats() -> None:
    policy = policy_of("http://127.0.0.1:9", "http://127.0.0.1:9")
    tiers = (policy.tiers[0], replace(policy.tiers[1], protocol=Protocol.OIP))
    with pytest.raises(UsageError) as caught:
        HybridInferenceEngine(policy=replace(policy, tiers=tiers))

    assert caught.value.what == "tier `cloud` speaks oip, which has no chats"
    assert caught.value.where == "policy"
    assert caught.value.hint == "text generation needs protocol openai"


async def test_a_chat_that_is_none_is_refused_and_not_logged_as_accepted() -> None:
    with pair(SURE, FAR) as two:
        async with two.engine as engine:
            with pytest.raises(InvalidData, match="no `messages`"):
                await anext(engine.stream({}))

    assert two.log.decisions == []


async def test_a_tier_that_can_not_read_the_chat_says_so() -> None:
    clock = FakeClock()
    wrong = InvalidData("too many images", where="input", hint="send fewer")
    tier = FakeTextTier(clock, [[wrong]])
    policy = policy_of("http://127.0.0.1:9", "http://127.0.0.1:9")
    async with HybridInferenceEngine(policy=policy, tiers={"edge": tier}, clock=clock) as engine:
        with pytest.raises(InvalidData, match="too many images"):
            await anext(engine.stream(ASK))

    assert tier.open == 0


async def test_an_engine_that_is_closed_answers_no_stream() -> None:
    with pair(SURE, FAR) as two:
        await two.engine.aclose()
        with pytest.raises(UsageError, match="the engine is closed"):
            await anext(two.engine.stream(ASK))


async def test_a_chat_can_wait_for_the_far_tier(tmp_path: Path) -> None:
    rules = OfflineRules(path=str(tmp_path / "queue"))
    more = {"offline": rules, "retry": RetryRules(most=0)}
    with pair(UNSURE, [Saying(status=503), FAR], **more) as two:
        async with two.engine as engine:
            queued = await engine.predict({**ASK, "max_tokens": 9}, allow_late=True)
            async with asyncio.timeout(30):
                while (found := await engine.late_answer(queued["request_id"])) is None:
                    await asyncio.sleep(0.02)

    assert queued["location"] == "queued"
    assert found["prediction"] == "far knows"
    assert found["generation"]["usage"]["output_tokens"] == 2
    assert found["cost"] == pytest.approx(11.0)
    assert two.far.bodies[1]["max_tokens"] == 9
