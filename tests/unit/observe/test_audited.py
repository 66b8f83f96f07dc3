"""What of a certificate live answers can refute, and what an answer lost."""

from dataclasses import replace

import pytest

from edgewise.observe.audited import doubted_of, loss_by_quality, stopgap_threshold
from edgewise.records import (
    AuditRules,
    Certificate,
    CertificateState,
    Loss,
)

CERTIFICATE = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.DISAGREEMENT,
    alpha=0.05,
    delta=0.05,
    n=1000,
    threshold=0.8,
    deferral_rate=0.2,
    bound=0.01,
)

ALL = AuditRules(share=1.0)


@pytest.mark.parametrize(
    ("loss", "edge", "far", "expected"),
    [
        (Loss.NET, 1.0, 0.0, -1.0),
        (Loss.NET, 0.0, 1.0, 1.0),
        (Loss.REGRET, 1.0, 0.0, 0.0),
        (Loss.REGRET, 0.25, 0.75, 0.5),
        (Loss.KEPT_ERROR, 0.75, 0.0, 0.25),
    ],
)
def test_a_loss_is_what_the_certificate_means_by_it(
    loss: Loss, edge: float, far: float, expected: float
) -> None:
    assert loss_by_quality(loss, edge, far) == expected


def test_a_limit_that_says_nothing_is_not_tested() -> None:
    whole = replace(CERTIFICATE, loss=Loss.NET, disagreement_limit=1.0)

    assert doubted_of(whole, ALL).answers_alpha is None
    assert doubted_of(None, ALL).words == ""


def test_a_judge_lets_the_certified_loss_itself_be_doubted() -> None:
    net = replace(CERTIFICATE, loss=Loss.NET, disagreement_limit=0.2)
    rules = replace(ALL, label_share=0.5)

    judged, both = doubted_of(net, ALL, judged=True), doubted_of(net, rules, judged=True)

    assert (judged.answers_alpha, judged.signed, judged.refuted_from) == (0.05, True, 20.0)
    assert judged.words == "net ≤ 0.05 by the judge"
    assert (both.answers_alpha, both.labels_alpha, both.refuted_from) == (0.05, 0.05, 40.0)
    assert doubted_of(None, ALL, judged=True).judged


def test_a_stopgap_stops_where_too_much_is_lost() -> None:
    good = [(0.9 + n / 10_000, 0.0) for n in range(300)]
    bad = [(0.5, 1.0)] * 100

    assert stopgap_threshold([*good, *bad], 0.05, 0.05) == 0.9
    assert stopgap_threshold(good[:20], 0.05, 0.05) is None
    assert stopgap_threshold([], 0.05, 0.05) is None
