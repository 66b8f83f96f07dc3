"""How often kept answers differ from the cloud's, at the most."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from edgewise.calibrate import certify, disagreement_limit
from edgewise.records import Certificate, CertificateState, Loss

RNG = np.random.default_rng(11)
CONFIDENCE = RNG.random(1000)
AGREES = (RNG.random(1000) > 0.02).astype(float)
RIGHT = np.ones(1000)


def certificate(loss: Loss = Loss.NET) -> Certificate:
    made = certify(CONFIDENCE, AGREES, RIGHT, loss=loss, alpha=0.05, delta=0.05)
    assert made.state is CertificateState.CERTIFIED
    return made


def test_it_is_the_clopper_pearson_limit_of_disagreements_among_all() -> None:
    made = certificate()
    assert made.threshold is not None
    kept = made.threshold <= CONFIDENCE
    count = int(((AGREES == 0) & kept).sum())

    found = disagreement_limit(made, CONFIDENCE, AGREES)

    assert found == pytest.approx(stats.beta.ppf(1 - 0.005, count + 1, 1000 - count), abs=2e-6)


def test_for_an_error_among_the_kept_it_is_among_the_kept() -> None:
    made = replace(certificate(), loss=Loss.KEPT_ERROR, threshold=0.5)
    kept = CONFIDENCE >= 0.5
    count, n = int(((AGREES == 0) & kept).sum()), int(kept.sum())

    found = disagreement_limit(made, CONFIDENCE, AGREES)

    assert found == pytest.approx(stats.beta.ppf(1 - 0.005, count + 1, n - count), abs=2e-6)


def test_of_clusters_the_betting_limit_is_taken() -> None:
    made = certificate()
    clusters = np.arange(1000) // 4

    alone = disagreement_limit(made, CONFIDENCE, AGREES)
    grouped = disagreement_limit(made, CONFIDENCE, AGREES, clusters=clusters)

    assert alone is not None
    assert grouped is not None
    assert 1 - AGREES.mean() < grouped < 0.2


def test_where_nothing_is_promised_or_kept_there_is_none() -> None:
    made = certificate()
    nothing = replace(made, state=CertificateState.UNCERTIFIED, threshold=None)

    assert disagreement_limit(nothing, CONFIDENCE, AGREES) is None
    assert disagreement_limit(certificate(Loss.DISAGREEMENT), CONFIDENCE, AGREES) is None
    assert disagreement_limit(replace(made, threshold=2.0), CONFIDENCE, AGREES) is None
