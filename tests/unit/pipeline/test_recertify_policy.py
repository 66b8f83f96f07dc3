"""The next certificate of a policy that has no run: text models, and a judge's qualities."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.errors import IntegrityError, UsageError
from edgewise.observe import AuditFile, Auditor, histogram_of
from edgewise.pipeline import recertify_policy
from edgewise.records import (
    Answered,
    AuditRules,
    Certificate,
    CertificateState,
    CloudAnswers,
    DriftRules,
    Loss,
    Policy,
    StreamRules,
    TierKind,
    TierPolicy,
    check_certificate,
    seal,
)

NOON_S = 1_700_000_000.0
CERTIFICATE = seal(
    Certificate(
        state=CertificateState.CERTIFIED,
        loss=Loss.NET,
        alpha=0.05,
        delta=0.05,
        n=1000,
        threshold=0.5,
        deferral_rate=0.5,
        bound=0.04,
        bundle_sha256="ab12",
    )
)
POLICY = Policy(
    task="text-generation",
    labels=(),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5),
        TierPolicy(name="cloud", kind=TierKind.CLOUD),
    ),
    stream=StreamRules(),
    bundle_sha256="ab12",
    audit=AuditRules(share=1.0, at_once=1000),
    certificate=CERTIFICATE,
)
Qualities = tuple[float, float] | None


def audited(
    path: Path, judge: Callable[[float], Qualities], count: int = 600, policy: Policy = POLICY
) -> Path:
    """Audit texts that a judge grades by their confidence."""
    rng = random.Random(3)
    file = AuditFile(path)
    auditor = Auditor(file, rng=rng)
    auditor.begin(policy, judged=True)
    for number in range(count):
        confidence = rng.random()
        kept = confidence >= 0.5
        one = Answered(
            request_id=f"{number}",
            kept=kept,
            confidence=confidence,
            edge_label="(another)",
            far_label=None if kept else "(another)",
        )
        case = auditor.consider(one, NOON_S + number)
        assert case is not None
        auditor.record(case, "(another)", NOON_S + number, judge(confidence))
        if number % 50 == 0:  # what is not on the disk yet makes it pause
            file.flush()
    auditor.close()
    return path


def better_than_thought(confidence: float) -> Qualities:
    """Say that the edge is as good as the cloud from 0.2 on."""
    return (0.8, 0.8) if confidence >= 0.2 else (0.3, 0.8)


def test_judged_samples_give_a_lower_threshold_where_the_edge_is_better(tmp_path: Path) -> None:
    path = audited(tmp_path / "audit.sqlite", better_than_thought)

    made = recertify_policy(POLICY, path)

    certificate = made.certificate
    assert certificate is not None
    assert certificate.threshold is not None
    assert certificate.state is CertificateState.CERTIFIED
    assert certificate.threshold == made.tiers[0].threshold
    assert 0.05 < certificate.threshold < 0.25
    assert (certificate.n, certificate.cloud_answers) == (600, CloudAnswers.AUDIT)
    assert certificate.disagreement_limit is None
    check_certificate(certificate, bundle_sha256="ab12", threshold=made.tiers[0].threshold)
    assert made.drift is None


def test_a_judge_that_finds_the_edge_worse_gives_a_higher_threshold(tmp_path: Path) -> None:
    def judge(confidence: float) -> Qualities:
        return (0.9, 0.9) if confidence >= 0.7 else (0.3, 0.9)

    path = audited(tmp_path / "audit.sqlite", judge)
    drift = DriftRules(reference=(histogram_of("length", [1.0, 2.0, 3.0]),))

    made = recertify_policy(replace(POLICY, drift=drift), path, whole=True)

    assert made.certificate is not None
    assert made.certificate.threshold is not None
    assert 0.6 < made.certificate.threshold < 0.75
    assert made.drift is not None
    assert [one.name for one in made.drift.reference] == ["confidence"]


def test_what_nobody_judged_counts_against_the_edge(tmp_path: Path) -> None:
    """Deferred streams are cut off: below the old threshold nothing can be promised by them."""

    def judge(confidence: float) -> Qualities:
        return better_than_thought(confidence) if confidence >= 0.5 else None

    path = audited(tmp_path / "audit.sqlite", judge)

    made = recertify_policy(POLICY, path)

    assert made.certificate is not None
    assert made.certificate.threshold is not None
    assert 0.45 < made.certificate.threshold < 0.51
    assert any("were not judged" in one for one in made.certificate.warnings)


def test_without_a_judged_sample_next_to_nothing_is_kept(tmp_path: Path) -> None:
    path = audited(tmp_path / "audit.sqlite", lambda _: None)

    made = recertify_policy(POLICY, path)

    # What is kept counts as all lost: one in twenty may be.
    assert made.certificate is not None
    assert made.certificate.deferral_rate > 0.95


def test_without_a_sample_every_answer_is_deferred(tmp_path: Path) -> None:
    path = audited(tmp_path / "audit.sqlite", better_than_thought, 0)

    made = recertify_policy(POLICY, path)

    assert made.certificate is not None
    assert made.certificate.state is CertificateState.UNCERTIFIED
    assert made.certificate.reasons
    assert made.tiers[0].threshold is None


def test_loss_and_levels_may_be_others(tmp_path: Path) -> None:
    path = audited(tmp_path / "audit.sqlite", better_than_thought)

    strict = recertify_policy(POLICY, path, alpha=0.03, delta=0.01)
    edge_alone = recertify_policy(POLICY, path, loss=Loss.KEPT_ERROR, alpha=0.5)

    for made, loss, alpha in ((strict, Loss.NET, 0.03), (edge_alone, Loss.KEPT_ERROR, 0.5)):
        assert made.certificate is not None
        assert made.certificate.state is CertificateState.CERTIFIED
        assert (made.certificate.loss, made.certificate.alpha) == (loss, alpha)


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (replace(POLICY, certificate=None), "a policy without a certificate"),
        (replace(POLICY, tiers=POLICY.tiers[:1]), "no tier to defer to"),
    ],
)
def test_what_was_never_certified_can_not_be_certified_again(
    tmp_path: Path, policy: Policy, what: str
) -> None:
    with pytest.raises(UsageError) as caught:
        recertify_policy(policy, tmp_path / "audit.sqlite")

    assert caught.value.what == what
    assert caught.value.where == "recertify_policy"
    assert "certify_texts" in caught.value.hint


def test_a_certificate_edited_by_hand_gives_no_levels(tmp_path: Path) -> None:
    edited = replace(POLICY, certificate=replace(CERTIFICATE, alpha=0.9))

    with pytest.raises(IntegrityError) as caught:
        recertify_policy(edited, tmp_path / "audit.sqlite")

    assert caught.value.what == "it was changed after it was made"


def test_samples_of_another_certificate_say_nothing(tmp_path: Path) -> None:
    path = audited(tmp_path / "audit.sqlite", better_than_thought)
    other = replace(POLICY, certificate=seal(replace(CERTIFICATE, n=1001)))

    made = recertify_policy(other, path)

    assert made.certificate is not None
    assert made.certificate.n == 0
