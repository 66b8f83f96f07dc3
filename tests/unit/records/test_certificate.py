import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import IntegrityError, InvalidRecord
from edgewise.records import (
    CalibrationKind,
    Certificate,
    CertificateState,
    ConfidenceMap,
    LearnedScore,
    Loss,
    Score,
    check_certificate,
    decode,
    encode,
    seal,
)

ISOTONIC = ConfidenceMap(
    kind=CalibrationKind.ISOTONIC, inputs=(0.5, 0.6, 0.6, 0.9), outputs=(0.2, 0.4, 0.8, 1.0)
)


def certificate(*, alpha: float, delta: float) -> Certificate:
    return Certificate(
        state=CertificateState.CERTIFIED,
        loss=Loss.NET,
        alpha=alpha,
        delta=delta,
        n=100,
        threshold=0.7,
        deferral_rate=0.2,
        bound=0.01,
    )


@pytest.mark.parametrize(
    ("alpha", "delta"), [(0.0, 0.1), (1.0, 0.1), (0.1, 0.0), (0.1, 1.0), (math.nan, 0.1)]
)
def test_promise_outside_zero_and_one_is_invalid(alpha: float, delta: float) -> None:
    with pytest.raises(InvalidRecord) as caught:
        certificate(alpha=alpha, delta=delta)

    assert caught.value.what == f"alpha is {alpha} and delta is {delta}"
    assert caught.value.where == "Certificate"
    assert caught.value.hint == "give both between 0 and 1"


def test_promise_between_zero_and_one_is_kept() -> None:
    assert certificate(alpha=0.02, delta=0.05).alpha == 0.02


def test_identity_gives_the_top_probability() -> None:
    assert ConfidenceMap()((0.2, 0.7, 0.1)) == 0.7


def test_temperature_of_two_takes_square_roots() -> None:
    found = ConfidenceMap(kind=CalibrationKind.TEMPERATURE, temperature=2.0)((0.64, 0.36, 0.0))

    assert found == pytest.approx(0.8 / 1.4)


def test_temperature_of_a_half_takes_squares() -> None:
    found = ConfidenceMap(kind=CalibrationKind.TEMPERATURE, temperature=0.5)((0.75, 0.25))

    assert found == pytest.approx(0.9)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_above_zero_is_invalid(temperature: float) -> None:
    with pytest.raises(InvalidRecord) as caught:
        ConfidenceMap(kind=CalibrationKind.TEMPERATURE, temperature=temperature)

    assert caught.value.what == f"temperature is {temperature}, not above 0"
    assert (caught.value.where, caught.value.hint) == ("ConfidenceMap", "fit it anew")


def test_temperature_leaves_an_answer_of_zeros_at_zero() -> None:
    assert ConfidenceMap(kind=CalibrationKind.TEMPERATURE, temperature=2.0)((0.0, 0.0)) == 0.0


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (0.1, 0.2),
        (0.5, 0.2),
        (0.55, 0.3),
        (0.6, 0.4),
        (0.75, 0.9),
        (0.9, 1.0),
        (0.95, 1.0),
    ],
)
def test_isotonic_interpolates_and_holds_at_the_ends(top: float, expected: float) -> None:
    assert ISOTONIC((top, 0.0)) == pytest.approx(expected)


def test_isotonic_takes_the_higher_value_where_two_inputs_are_one() -> None:
    steps = ConfidenceMap(
        kind=CalibrationKind.ISOTONIC, inputs=(0.5, 0.5, 0.9), outputs=(0.2, 0.6, 0.6)
    )

    assert steps((0.51,)) == pytest.approx(0.6)


def test_isotonic_of_one_point_is_constant() -> None:
    one = ConfidenceMap(kind=CalibrationKind.ISOTONIC, inputs=(0.5,), outputs=(0.7,))

    assert one((0.4,)) == one((0.9,)) == 0.7


@given(
    low=st.floats(0.0, 1.0),
    high=st.floats(0.0, 1.0),
    kind=st.sampled_from(list(CalibrationKind)),
    temperature=st.floats(0.05, 20.0),
)
def test_of_two_labels_more_confidence_stays_more(
    low: float, high: float, kind: CalibrationKind, temperature: float
) -> None:
    low, high = sorted((max(low, 1 - low), max(high, 1 - high)))
    steps = (0.1, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    outputs = steps if kind is CalibrationKind.VENN_ABERS else ISOTONIC.outputs
    found = ConfidenceMap(
        kind=kind, temperature=temperature, inputs=ISOTONIC.inputs, outputs=outputs
    )

    assert 0.0 <= found((low, 1 - low)) <= found((high, 1 - high)) + 1e-12 <= 1.0 + 2e-12


@pytest.mark.parametrize(
    ("score", "expected"),
    [(Score.TOP, 0.7), (Score.MARGIN, 0.5), (Score.ENTROPY, 0.27015), (Score.ENERGY, 2.5)],
)
def test_a_score_is_one_number_of_an_answer(score: Score, expected: float) -> None:
    found = ConfidenceMap(score=score)((0.1, 0.7, 0.2), energy=2.5)

    assert found == pytest.approx(expected, abs=1e-5)


def test_the_margin_is_that_of_the_two_largest_in_any_order() -> None:
    found = ConfidenceMap(score=Score.MARGIN)

    orders = [(0.6, 0.3, 0.1), (0.1, 0.3, 0.6), (0.3, 0.1, 0.6), (0.6, 0.1, 0.3)]
    assert {round(found(order), 9) for order in orders} == {0.3}


def test_of_one_label_margin_and_certainty_are_whole() -> None:
    assert ConfidenceMap(score=Score.MARGIN)((1.0,)) == 1.0
    assert ConfidenceMap(score=Score.ENTROPY)((1.0,)) == 1.0


def test_certainty_counts_an_impossible_label_as_nothing() -> None:
    assert ConfidenceMap(score=Score.ENTROPY)((0.5, 0.5, 0.0)) == pytest.approx(
        1 - math.log(2) / math.log(3)
    )


def test_an_answer_without_energy_is_not_sure() -> None:
    found = ConfidenceMap(
        kind=CalibrationKind.LOGISTIC, score=Score.ENERGY, slope=-1.0, intercept=5.0
    )

    assert found((0.9, 0.1)) == 0.0
    assert found((0.9, 0.1), energy=5.0) == 0.5


def test_a_logistic_map_holds_its_ends() -> None:
    found = ConfidenceMap(kind=CalibrationKind.LOGISTIC, slope=1e6, intercept=0.0)

    assert found.at(-1.0) == pytest.approx(0.0, abs=1e-300)
    assert found.at(1.0) == 1.0


@pytest.mark.parametrize(
    ("score", "expected"), [(0.1, 0.2), (0.5, 0.3), (0.6, 0.4), (0.9, 0.6), (0.95, 0.8)]
)
def test_steps_change_at_their_inputs_and_between(score: float, expected: float) -> None:
    found = ConfidenceMap(
        kind=CalibrationKind.VENN_ABERS, inputs=(0.5, 0.9), outputs=(0.2, 0.3, 0.4, 0.6, 0.8)
    )

    assert found((score, 0.0)) == expected


LEARNED = LearnedScore(
    knots=(0.0,), edge=((0.0, 1.0, 1.0), (-1.0, 0.5, 0.0)), edge_more=(0.0, 0.0, 2.0)
)


def test_a_learned_score_bends_by_label_and_reads_the_length() -> None:
    sure, unsure = math.log(0.8 / 0.2), math.log(0.6 / 0.4)

    first = ConfidenceMap(score=Score.LEARNED, learned=LEARNED)((0.8, 0.2))
    second = ConfidenceMap(score=Score.LEARNED, learned=LEARNED)((0.4, 0.6), length=2)

    assert first == pytest.approx(1 / (1 + math.exp(-2 * sure)))
    assert second == pytest.approx(1 / (1 + math.exp(1 - 0.5 * unsure - 2 * math.log(3))))


def test_a_learned_score_below_its_knot_has_no_bend() -> None:
    assert LEARNED.value(0.2, 0, (0.0, 0.0, 0.0)) == pytest.approx(0.2)


def test_with_the_cloud_a_learned_score_is_what_keeping_gains() -> None:
    both = replace(LEARNED, cloud=((2.0, 0.0, 0.0), (0.0, 0.0, 0.0)), cloud_more=(1.0, 0.0, 0.0))

    found = both.value(0.5, 0, (0.5, 0.0, 0.0))

    assert found == pytest.approx((1 + 0.5 - 1 / (1 + math.exp(-2.5))) / 2)


@pytest.mark.parametrize(
    "weights",
    [
        {"edge": ((0.0, 1.0),)},
        {"edge": ((0.0, 1.0, 0.0),), "cloud": ((0.0, 1.0, 0.0), (0.0, 1.0, 0.0))},
    ],
)
def test_weights_that_do_not_fit_are_invalid(weights: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        decode(LearnedScore, {"schema_version": 1, "knots": [0.0], **encode_rows(weights)})

    assert "weights do not fit 1 knots" in caught.value.what
    assert caught.value.where == "LearnedScore"
    assert caught.value.hint == "fit it anew"


def encode_rows(weights: dict[str, tuple[float, ...]]) -> dict[str, list[list[float]]]:
    return {name: [list(row) for row in rows] for name, rows in weights.items()}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("kind", "score", "what"),
    [
        (CalibrationKind.ISOTONIC, Score.TOP, "0 outputs for 0 inputs"),
        (CalibrationKind.VENN_ABERS, Score.TOP, "0 outputs for 0 inputs"),
        (CalibrationKind.IDENTITY, Score.LEARNED, "`learned` and its weights go together"),
        (
            CalibrationKind.TEMPERATURE,
            Score.MARGIN,
            "a temperature does not map the score `margin`",
        ),
    ],
)
def test_a_map_that_does_not_hold_together_is_invalid(
    kind: CalibrationKind, score: Score, what: str
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        ConfidenceMap(kind=kind, score=score)

    assert caught.value.what == what
    assert caught.value.where == "ConfidenceMap"
    assert caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": None}, {"bound": None}, {"n": 0}, {"threshold": math.inf}, {"bound": 0.03}],
)
def test_a_certificate_that_promises_nothing_is_no_certified_one(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        replace(certificate(alpha=0.02, delta=0.05), **wrong)  # type: ignore[arg-type]

    assert caught.value.what.startswith("certified with threshold")
    assert caught.value.where == "Certificate"
    assert "finite threshold" in caught.value.hint


def test_a_sealed_certificate_holds_after_it_was_written_and_read() -> None:
    sealed = seal(replace(certificate(alpha=0.02, delta=0.05), bundle_sha256="ab" * 32))

    read = decode(Certificate, encode(sealed))

    check_certificate(read, bundle_sha256="ab" * 32, threshold=0.7)
    assert seal(read) == sealed


@pytest.mark.parametrize(
    ("change", "bundle", "threshold", "what"),
    [
        ({"threshold": 0.6}, "", 0.6, "it was changed after it was made"),
        ({"n": 101}, "", 0.7, "it was changed after it was made"),
        ({"seal_sha256": ""}, "", 0.7, "it was changed after it was made"),
        ({}, "cd" * 32, 0.7, "made for bundle , not for cdcdcdcdcdcd"),
        ({}, "", 0.6, "certified threshold 0.7, and the policy has 0.6"),
    ],
)
def test_a_certificate_edited_by_hand_or_of_another_is_told(
    change: dict[str, object], bundle: str, threshold: float, what: str
) -> None:
    sealed = encode(seal(certificate(alpha=0.02, delta=0.05)))

    edited = decode(Certificate, {**sealed, **change})

    with pytest.raises(IntegrityError) as caught:
        check_certificate(edited, bundle_sha256=bundle, threshold=threshold)

    assert caught.value.what == what
    assert caught.value.where == "certificate"
    assert "certify anew" in caught.value.hint
