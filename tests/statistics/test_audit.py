"""The audit over many seeds: how often it accuses wrongly, and how soon rightly."""

import random

import numpy as np
import pytest

from edgewise.calibrate import certify, disagreement_limit
from edgewise.observe import Auditor, EProcess
from edgewise.records import (
    Answered,
    AuditRules,
    Certificate,
    CertificateState,
    Loss,
    Policy,
    TierKind,
    TierPolicy,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DELTA = 0.05


def crossed_at(
    rng: np.random.Generator,
    *,
    alpha: float,
    share: float,
    kept: float,
    risk: float,
    audited: int,
    refuted_from: float,
    quiet: int = 0,
) -> int | None:
    """Give how many audited requests it took to refute; `quiet` ones without loss come first."""
    test = EProcess(alpha=alpha, share=share)
    gaps = rng.geometric(share * kept, size=audited + quiet)
    differs = rng.random(audited + quiet) < risk / kept
    for place, (gap, one) in enumerate(zip(gaps, differs, strict=True)):
        test.skip(int(gap) - 1)
        test.add(float(one and place >= quiet))
        if test.e_value >= refuted_from:
            return place + 1 - quiet
    return None


@pytest.mark.parametrize(
    ("alpha", "share", "kept"), [(0.02, 0.02, 0.7), (0.05, 0.2, 0.5), (0.02, 1.0, 1.0)]
)
def test_a_loss_of_exactly_alpha_is_refuted_in_at_most_delta_of_all_runs(
    alpha: float, share: float, kept: float
) -> None:
    rng = np.random.default_rng(20_261_128)
    runs = 200

    false = sum(
        crossed_at(
            rng,
            alpha=alpha,
            share=share,
            kept=kept,
            risk=alpha,
            audited=1500,
            refuted_from=1 / DELTA,
        )
        is not None
        for _ in range(runs)
    )

    # DELTA and two standard errors of the count.
    assert false <= runs * DELTA + 2 * np.sqrt(runs * DELTA * (1 - DELTA))


@pytest.mark.parametrize(
    ("times", "quiet", "within"), [(3, 0, 600), (3, 2000, 1200), (5, 2000, 500)]
)
def test_a_real_drift_is_seen_within_so_many_audited_requests(
    times: int, quiet: int, within: int
) -> None:
    rng = np.random.default_rng(7)

    found = [
        crossed_at(
            rng,
            alpha=0.02,
            share=0.05,
            kept=0.7,
            risk=times * 0.02,
            audited=within,
            refuted_from=1 / DELTA,
            quiet=quiet,
        )
        for _ in range(20)
    ]

    assert sum(one is not None for one in found) >= 19


def test_certified_and_then_audited_without_a_drift_is_seldom_void() -> None:
    rng = np.random.default_rng(5)
    runs, void, certified = 60, 0, 0
    for _ in range(runs):
        confidence = rng.random(2000)
        edge = rng.random(2000) < 0.6 + 0.4 * confidence
        cloud = rng.random(2000) < 0.95
        agrees = np.where(edge == cloud, 1.0, 0.0)
        made = certify(confidence, edge, cloud, loss=Loss.NET, alpha=0.03, delta=DELTA)
        if made.state is not CertificateState.CERTIFIED or made.threshold is None:
            continue
        certified += 1
        limit = disagreement_limit(made, confidence, agrees)
        assert limit is not None
        grid = rng.random(200_000)
        differs = np.abs((0.6 + 0.4 * grid) * 0.05 + (0.4 - 0.4 * grid) * 0.95)
        kept = float((grid >= made.threshold).mean())
        risk = float((differs * (grid >= made.threshold)).mean())
        found = crossed_at(
            rng,
            alpha=limit,
            share=0.1,
            kept=kept,
            risk=risk,
            audited=1000,
            refuted_from=1 / (0.9 * DELTA),
        )
        void += found is not None

    assert certified >= runs // 2
    assert void <= certified * DELTA + 2 * np.sqrt(certified * DELTA)


def judged_until_void(
    rng: np.random.Generator, *, loss: Loss, alpha: float, risk: float, requests: int
) -> int | None:
    """Give how many judged answers it took to refute a certificate of graded texts.

    Of all requests 0.7 are kept, half of those are judged. A kept answer is worth the cloud's in
    two of three, and else so much less that `risk` is lost on average; where the loss may be
    negative, the edge is the better one in a fourth.
    """
    certificate = Certificate(
        state=CertificateState.CERTIFIED,
        loss=loss,
        alpha=alpha,
        delta=DELTA,
        n=1000,
        threshold=0.5,
        deferral_rate=0.3,
        bound=alpha,
    )
    made = Auditor(rng=random.Random(int(rng.integers(2**32))))
    tiers = (
        TierPolicy(name="edge", kind=TierKind.DEVICE),
        TierPolicy(name="cloud", kind=TierKind.CLOUD),
    )
    made.begin(
        Policy(
            task="text-generation",
            labels=(),
            tiers=tiers,
            audit=AuditRules(share=0.5),
            certificate=certificate,
        ),
        judged=True,
    )
    better = 0.25 * 0.1 if loss is Loss.NET else 0.0
    worse = 3.0 * (risk / 0.7 + better)
    for number in range(requests):
        kept = rng.random() < 0.7
        one = Answered(
            request_id=f"{number}",
            kept=bool(kept),
            confidence=0.9 if kept else 0.3,
            edge_label="(another)",
            far_label=None if kept else "(another)",
        )
        case = made.consider(one, 1.7e9 + number)
        if case is None:
            continue
        draw, far = rng.random(), 0.9
        edge = far
        if draw < 1 / 3:
            edge = far - worse * rng.uniform(0.5, 1.5)
        elif draw < 1 / 3 + 0.25 and loss is Loss.NET:
            edge = far + 0.1
        if made.record(case, "(another)", 1.7e9 + number, (edge, far)).void:
            return made.state.audited
    return None


@pytest.mark.parametrize(("loss", "alpha"), [(Loss.NET, 0.05), (Loss.REGRET, 0.1)])
def test_a_judge_who_finds_a_loss_of_exactly_alpha_voids_at_most_delta_of_all_certificates(
    loss: Loss, alpha: float
) -> None:
    rng = np.random.default_rng(20_261_129)
    runs = 100

    false = sum(
        judged_until_void(rng, loss=loss, alpha=alpha, risk=alpha, requests=1500) is not None
        for _ in range(runs)
    )

    # DELTA and two standard errors of the count.
    assert false <= runs * DELTA + 2 * np.sqrt(runs * DELTA * (1 - DELTA))


@pytest.mark.parametrize(("loss", "within"), [(Loss.NET, 300), (Loss.REGRET, 300)])
def test_a_judge_who_finds_three_times_alpha_voids_it_soon(loss: Loss, within: int) -> None:
    rng = np.random.default_rng(11)

    found = [
        judged_until_void(rng, loss=loss, alpha=0.04, risk=0.12, requests=3000) for _ in range(20)
    ]

    assert sum(one is not None and one <= within for one in found) >= 19
