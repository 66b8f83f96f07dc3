import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InvalidRecord
from edgewise.records import (
    CalibrationKind,
    Certificate,
    CertificateState,
    ConfidenceMap,
    Loss,
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
    found = ConfidenceMap(
        kind=kind, temperature=temperature, inputs=ISOTONIC.inputs, outputs=ISOTONIC.outputs
    )

    assert 0.0 <= found((low, 1 - low)) <= found((high, 1 - high)) + 1e-12 <= 1.0 + 2e-12
