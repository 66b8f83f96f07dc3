"""Confidence and certificates of texts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgewise.calibrate import certify_texts, fit_text_confidence, text_confidences
from edgewise.errors import InvalidData
from edgewise.records import (
    CalibrationKind,
    CertificateState,
    Generation,
    Policy,
    StreamRules,
    TextScore,
    TierKind,
    TierPolicy,
    check_certificate,
)

POLICY = Policy(
    task="text-generation",
    labels=(),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE),
        TierPolicy(name="cloud", kind=TierKind.CLOUD),
    ),
    stream=StreamRules(commit_after_tokens=4),
)


def answers_of(n: int, seed: int = 0) -> tuple[list[Generation], Any]:
    """Answers whose quality follows the log-probability of their first four tokens."""
    rng = np.random.default_rng(seed)
    sure = rng.random(n)
    made = []
    for one in sure:
        first = -2.0 * (1.0 - one) + 0.05 * rng.standard_normal(4)
        later = -3.0 * rng.random(rng.integers(0, 9))
        shares = tuple(np.minimum([*first, *later], 0.0).tolist())
        made.append(Generation(text="…", logprobs=shares, first_margin=float(one)))
    return made, np.clip(sure + 0.2 * rng.standard_normal(n), 0.0, 1.0)


@pytest.mark.parametrize("score", TextScore)
def test_confidence_is_the_expected_quality(score: TextScore) -> None:
    answers, quality = answers_of(2000)

    fitted = fit_text_confidence(answers, quality, score=score, first_tokens=4)

    others, truth = answers_of(2000, seed=1)
    found = text_confidences(fitted, others)
    high, low = found > 0.8, found < 0.3
    assert found[high].mean() == pytest.approx(truth[high].mean(), abs=0.06)
    assert found[low].mean() == pytest.approx(truth[low].mean(), abs=0.06)
    assert fitted.map.reliability is not None
    assert fitted.map.reliability.ece_after < fitted.map.reliability.ece_before


def test_a_step_in_quality_is_fitted_by_steps() -> None:
    answers, _ = answers_of(1000)
    means = np.asarray([np.mean(one.logprobs[:4]) for one in answers])

    fitted = fit_text_confidence(answers, (means > -1.0).astype(float) * 0.6 + 0.2, first_tokens=4)

    assert fitted.map.kind is CalibrationKind.ISOTONIC
    assert {round(one, 9) for one in fitted.map.outputs} == {0.2, 0.8}


@pytest.mark.parametrize("clustered", [False, True])
def test_the_promise_holds_on_other_answers(clustered: bool) -> None:
    answers, edge = answers_of(4000)
    cloud = np.full(4000, 0.75)
    clusters = np.arange(4000) // 2 if clustered else None

    policy = certify_texts(
        POLICY, answers, edge, cloud, alpha=0.05, clusters=clusters, model_sha256="ab"
    )

    near, certificate = policy.tiers[0], policy.certificate
    assert certificate is not None
    assert certificate.state is CertificateState.CERTIFIED
    assert near.threshold is not None
    assert near.text_confidence is not None
    assert near.text_confidence.first_tokens == 4
    assert policy.bundle_sha256 == "ab"
    check_certificate(certificate, bundle_sha256="ab", threshold=near.threshold)
    others, truth = answers_of(4000, seed=5)
    kept = text_confidences(near.text_confidence, others) >= near.threshold
    assert 0.2 < kept.mean() < 0.9
    assert (kept * (0.75 - truth)).mean() < 0.05


def test_what_can_not_be_certified_defers_everything() -> None:
    answers, edge = answers_of(60)

    policy = certify_texts(POLICY, answers, edge * 0.1, np.ones(60))

    assert policy.tiers[0].threshold is None
    assert policy.certificate is not None
    assert policy.certificate.state is CertificateState.UNCERTIFIED
    assert policy.certificate.reasons


@pytest.mark.parametrize(
    ("quality", "what", "hint"),
    [
        (np.ones(59), "qualities of shape (59,) for 60 answers", "give one for each of "),
        (np.full(60, 1.5), "a quality outside 0 to 1", "give 1 for a perfect answer"),
        (np.full(60, np.nan), "a quality outside 0 to 1", "give 1 for a perfect answer"),
    ],
)
def test_qualities_that_are_none_are_refused(quality: Any, what: str, hint: str) -> None:
    answers, _ = answers_of(60)
    with pytest.raises(InvalidData) as fitted:
        fit_text_confidence(answers, quality)
    with pytest.raises(InvalidData) as certified:
        certify_texts(POLICY, answers, np.ones(60), quality)

    assert fitted.value.what == certified.value.what == what
    assert fitted.value.where == certified.value.where == "quality"
    assert hint in fitted.value.hint


def test_too_few_answers_are_refused() -> None:
    answers, quality = answers_of(9)
    with pytest.raises(InvalidData, match="for 9 answers"):
        fit_text_confidence(answers, quality)
    with pytest.raises(InvalidData, match="give one for each of 50 answers or more"):
        certify_texts(POLICY, *answers_of(49), np.ones(49))


def test_answers_without_log_probabilities_can_not_be_fitted_to() -> None:
    answers, quality = answers_of(20)
    answers[3] = replace(answers[3], logprobs=())
    with pytest.raises(InvalidData) as caught:
        fit_text_confidence(answers, quality)

    assert caught.value.what == "1 answers have no `mean_logprob`"
    assert caught.value.where == "answers"
    assert caught.value.hint == "ask the tier for `logprobs`, or leave these answers out"


@pytest.mark.parametrize("clusters", [1, 5])
def test_too_few_clusters_to_keep_whole_are_refused(clusters: int) -> None:
    answers, quality = answers_of(100)

    with pytest.raises(InvalidData) as caught:
        certify_texts(POLICY, answers, quality, quality, clusters=np.arange(100) % clusters)

    assert caught.value.what == (
        "the answers that fit the map are all of one cluster, which is kept whole"
    )
    assert caught.value.where == "clusters"
    assert caught.value.hint == "give answers of more clusters, or leave `clusters` out"
