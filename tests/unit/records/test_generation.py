"""What a text's confidence is read off."""

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import (
    CalibrationKind,
    ConfidenceMap,
    Generation,
    Price,
    StreamRules,
    TextChunk,
    TextConfidence,
    TextScore,
    TierKind,
    TierPolicy,
    ToolCall,
)

LOGPROBS = (-0.1, -2.0, -0.3)
PLAIN = ConfidenceMap()


@pytest.mark.parametrize(
    ("score", "first", "value"),
    [
        (TextScore.MEAN_LOGPROB, None, -0.8),
        (TextScore.MEAN_LOGPROB, 2, -1.05),
        (TextScore.MIN_LOGPROB, None, -2.0),
        (TextScore.MIN_LOGPROB, 1, -0.1),
        (TextScore.FIRST_MARGIN, None, 0.4),
        (TextScore.LENGTH_NORMALISED, None, -2.4 / (8 / 6) ** 0.6),
    ],
)
def test_each_score_reads_what_it_says(score: TextScore, first: int | None, value: float) -> None:
    confidence = TextConfidence(score=score, first_tokens=first, map=PLAIN)

    assert confidence.raw(LOGPROBS, 0.4) == pytest.approx(value, rel=1e-12)


def test_what_can_not_be_read_is_not_sure() -> None:
    mean = TextConfidence(map=PLAIN)
    margin = TextConfidence(score=TextScore.FIRST_MARGIN, map=PLAIN)

    assert mean((), 0.9) == 0.0
    assert margin(LOGPROBS, None) == 0.0


def test_confidence_is_what_the_map_makes_of_the_score() -> None:
    certain = ConfidenceMap(kind=CalibrationKind.LOGISTIC, slope=2.0, intercept=1.6)

    # 2 x -0.8 + 1.6 = 0, and the logistic of 0 is a half
    assert TextConfidence(map=certain)(LOGPROBS, None) == pytest.approx(0.5)


def test_the_probability_of_an_answer_is_told_whole_and_by_token() -> None:
    told = Generation(text="a b c", logprobs=LOGPROBS)
    silent = Generation(text="a b c")

    assert told.logprob == pytest.approx(-2.4)
    assert told.mean_logprob == pytest.approx(-0.8)
    assert (silent.logprob, silent.mean_logprob) == (None, None)


def test_a_chunk_is_content_where_it_holds_text_or_a_tool_call() -> None:
    assert TextChunk(text="a").is_content
    assert TextChunk(tool_calls=(ToolCall(name="f"),)).is_content
    assert not TextChunk(finish_reason="stop").is_content


def test_the_price_of_a_call_counts_its_request_and_its_tokens() -> None:
    price = Price(usd_per_million_tokens_in=1.0, usd_per_million_tokens_out=2.0)
    tier = TierPolicy(name="far", kind=TierKind.CLOUD, usd_per_request=0.5, token_price=price)
    free = TierPolicy(name="near", kind=TierKind.DEVICE)

    assert tier.usd(1_000_000, 500_000) == pytest.approx(2.5)
    assert free.usd(10**6, 10**6) == 0.0


@pytest.mark.parametrize("wrong", [0, -3])
def test_a_count_of_tokens_below_one_is_refused(wrong: int) -> None:
    with pytest.raises(InvalidRecord) as rules:
        StreamRules(commit_after_tokens=wrong)
    with pytest.raises(InvalidRecord) as confidence:
        TextConfidence(first_tokens=wrong, map=PLAIN)

    assert rules.value.what == confidence.value.what == f"not above 0: {wrong}"
    assert (rules.value.where, confidence.value.where) == ("StreamRules", "TextConfidence")
    assert rules.value.hint == "give 1 or more, or leave it out to hold the whole answer back"
    assert confidence.value.hint == "leave it out to read the whole answer"
