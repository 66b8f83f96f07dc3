"""When quantization-aware tuning is tried by itself, and on which recipe."""

import sys

import pytest

from edgewise.errors import MissingExtra, UsageError
from edgewise.optimize.recipe import check_extras, in_order, parse
from edgewise.optimize.survey import Plan
from edgewise.optimize.tuning import Tuning, tuning_for
from edgewise.records import Candidate, Fidelity

Found = tuple[Plan, Candidate]


def one(
    words: str,
    *,
    metric: float | None = None,
    kept: bool = False,
    p50_ms: float | None = None,
    start: tuple[str, ...] = (),
) -> Found:
    """Give a candidate of two layers; with a metric it came as far as the gate."""
    plan = (2, parse(words))
    fidelity = Fidelity(reference="float form", n=9, metric=metric) if metric is not None else None
    made = Candidate(
        recipe=(*start, *plan[1]),
        runtime="onnxruntime",
        size_bytes=1,
        kept=kept,
        fidelity=fidelity,
        p50_ms=p50_ms,
    )
    return plan, made


FLOAT = one("float32", metric=0.9, kept=True, p50_ms=2.0)


def test_the_nearest_of_those_that_failed_in_8_bits_is_tuned() -> None:
    found = [
        FLOAT,
        one("int8-dynamic", metric=0.4),
        one("fuse,int8-static", metric=0.7, start=("head:logistic",)),
        one("int4-weights", metric=0.8),
    ]

    tuning = tuning_for(found)

    assert tuning is not None
    assert tuning.plan == (2, ("fuse", "qat", "int8-static"))
    assert tuning.start == ("head:logistic",)


@pytest.mark.parametrize(
    "found",
    [
        [FLOAT, one("int8-dynamic", metric=0.4), one("mixed", metric=0.9, kept=True, p50_ms=1.0)],
        [FLOAT, one("int8-dynamic", metric=0.9, p50_ms=50.0)],  # passed the gate, and is too slow
        [FLOAT, one("int8-dynamic")],  # out before the gate
        [FLOAT, one("int4-weights", metric=0.4)],
        [FLOAT, one("int8-dynamic", metric=0.4), one("qat,int8-dynamic", metric=0.5)],
    ],
    ids=["one passed", "slow", "never judged", "none in 8 bits", "tuned already"],
)
def test_nothing_is_tuned_where_that_would_save_nothing(found: list[Found]) -> None:
    assert tuning_for(found) is None


def test_training_that_is_off_is_said_in_the_candidate() -> None:
    tuning = Tuning(plan=(2, ("qat", "int8-dynamic")), start=("cut:2",))

    def make(_: Plan) -> Candidate:
        raise AssertionError("it must not be made")

    found = tuning.attempt(0.0, make)

    assert found.recipe == ("cut:2", "qat", "int8-dynamic")
    assert not found.kept
    assert found.why == ("no candidate in 8 bits passed the gate, and training is off",)


def test_torch_that_is_missing_is_said_in_the_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    tuning = Tuning(plan=(2, ("qat", "int8-dynamic")), start=())

    def make(_: Plan) -> Candidate:
        raise AssertionError("it must not be made")

    found = tuning.attempt(10.0, make)

    assert not found.kept
    assert 'pip install "edgewise[torch]"' in found.why[0]


def test_what_can_be_trained_is_made_as_any_other() -> None:
    tuning = Tuning(plan=(2, ("int8-dynamic",)), start=())  # trains nothing, so needs no torch
    made = one("int8-dynamic", kept=True)[1]

    assert tuning.attempt(10.0, lambda _: made) is made


def test_a_recipe_that_trains_names_the_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    check_extras(("prune-ffn:0.25", "int8-dynamic"))

    for words in ("prune-ffn:0.25,recover", "distill:2,int8-dynamic", "qat,int8-dynamic"):
        with pytest.raises(MissingExtra) as caught:
            check_extras(parse(words))
        assert caught.value.hint == 'pip install "edgewise[torch]"'


def test_students_come_first_then_recovery_then_the_vocabulary_then_tuning() -> None:
    words = parse("int8-dynamic,qat,smooth,trim-vocabulary,recover,prune-ffn:0.25,distill:2")

    assert in_order(words) == (
        *("distill:2", "prune-ffn:0.25", "recover", "trim-vocabulary"),
        *("smooth", "qat", "int8-dynamic"),
    )


@pytest.mark.parametrize(
    "word", ["distill:two", "distill:2:heads", "distill:2:depth=3", "distill:0"]
)
def test_a_shape_that_is_none_is_refused_when_it_is_read(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(word)

    assert word.partition(":")[2] in caught.value.what
    assert "distill" not in caught.value.what
