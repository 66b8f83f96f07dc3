"""What may be said of an audit and of drift."""

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import (
    AuditRules,
    AuditSample,
    AuditState,
    Certificate,
    CertificateState,
    DriftRules,
    DriftWarning,
    Histogram,
    Loss,
    OnVoid,
    Policy,
    TierKind,
    TierPolicy,
)

DEFAULT = "leave it out for its default"


@pytest.mark.parametrize(
    "wrong",
    [
        {"at_once": 0},
        {"per_hour": 0},
        {"per_day": -1},
        {"samples_kept": 0},
        {"timeout_ms": 0.0},
        {"label_wait_s": float("inf")},
        {"timeout_ms": float("nan")},
    ],
)
def test_limits_are_above_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        AuditRules(**wrong)  # type: ignore[arg-type]

    assert caught.value.what == "a limit is not above 0"
    assert caught.value.where == "AuditRules"
    assert caught.value.hint == DEFAULT


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.5}, {"label_share": -0.1}])
def test_shares_lie_between_nothing_and_all(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        AuditRules(**wrong)  # type: ignore[arg-type]

    assert caught.value.what.startswith("share is ")
    assert caught.value.where == "AuditRules"
    assert caught.value.hint == "give shares up to 1, `share` above 0"


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf")])
def test_budgets_are_amounts_of_money(usd: float) -> None:
    with pytest.raises(InvalidRecord) as caught:
        AuditRules(usd_per_day=usd)

    assert caught.value.what.startswith("a budget is no amount of money")
    assert caught.value.where == "AuditRules"
    assert caught.value.hint == "leave it out for no limit"


@pytest.mark.parametrize(
    ("edges", "counts"),
    [((1.0, 1.0), (1, 1, 1)), ((1.0,), (1,)), ((1.0,), (0, 0)), ((1.0,), (-1, 5))],
)
def test_a_histogram_has_rising_edges_and_a_sample(
    edges: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        Histogram(name="length", edges=edges, counts=counts)

    assert "make no histogram" in caught.value.what
    assert caught.value.where == "Histogram.length"
    assert caught.value.hint.startswith("give rising edges")


@pytest.mark.parametrize("wrong", [{"window": 0}, {"false_alarms": 0.0}, {"false_alarms": 1.0}])
def test_drift_rules_name_a_window_and_a_chance(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        DriftRules(**wrong)  # type: ignore[arg-type]

    assert caught.value.what.startswith("window is ")
    assert caught.value.where == "DriftRules"
    assert caught.value.hint.startswith("give a window")


@pytest.mark.parametrize("wrong", [((1.0,), (1.0, 0.0)), ((float("nan"),),)])
def test_directions_of_drift_are_of_equal_length_and_numbers(
    wrong: tuple[tuple[float, ...], ...],
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        DriftRules(directions=wrong)

    assert caught.value.what == f"{len(wrong)} directions of other lengths, or not of numbers"
    assert caught.value.where == "DriftRules.directions"
    assert caught.value.hint == "give each a finite number for each label"


def test_a_distance_is_finite() -> None:
    with pytest.raises(InvalidRecord) as caught:
        DriftWarning(name="length", window=1, p_value=0.0, at_most=0.1, distance=float("inf"))

    assert caught.value.what == "a distance of inf"
    assert caught.value.where == "DriftWarning"
    assert caught.value.hint == "smooth empty bins"


@pytest.mark.parametrize("both", [(0.5, None), (None, 1.0), (1.2, 0.5), (0.5, float("nan"))])
def test_qualities_of_a_sample_are_both_from_0_to_1(both: tuple[float | None, ...]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        AuditSample(
            request_id="a",
            at_s=0.0,
            confidence=0.5,
            edge_label="yes",
            far_label="yes",
            kept=True,
            share=1.0,
            edge_quality=both[0],
            far_quality=both[1],
        )

    assert caught.value.what == f"qualities of {both[0]} and {both[1]}"
    assert caught.value.where == "AuditSample"
    assert caught.value.hint == "give both from 0 to 1, or none"


def test_a_disagreement_limit_is_a_share() -> None:
    with pytest.raises(InvalidRecord) as caught:
        Certificate(
            state=CertificateState.UNCERTIFIED,
            loss=Loss.NET,
            alpha=0.02,
            delta=0.05,
            n=0,
            threshold=None,
            deferral_rate=1.0,
            bound=None,
            disagreement_limit=1.5,
        )

    assert caught.value.what == "disagreement_limit is 1.5"
    assert caught.value.where == "Certificate"
    assert caught.value.hint == "give a share, 0 to 1, or none"


def test_the_share_of_disagreement_is_of_the_audited() -> None:
    assert AuditState().disagreement_share is None
    assert AuditState(audited=40, disagreed=10).disagreement_share == 0.25


def test_what_a_void_certificate_means_stands_in_the_rules_of_the_audit() -> None:
    tiers = (TierPolicy(name="edge", kind=TierKind.DEVICE),)
    bare = Policy(task="text-classification", labels=("no",), tiers=tiers)
    warned = Policy(
        task="text-classification",
        labels=("no",),
        tiers=tiers,
        audit=AuditRules(on_void=OnVoid.WARN),
    )

    assert bare.on_void is OnVoid.DEFER_MORE
    assert warned.on_void is OnVoid.WARN
