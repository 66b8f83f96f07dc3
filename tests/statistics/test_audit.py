"""The audit over many seeds: how often it accuses wrongly, and how soon rightly."""

import numpy as np
import pytest

from edgewise.calibrate import certify, disagreement_limit
from edgewise.observe import EProcess
from edgewise.records import CertificateState, Loss

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
