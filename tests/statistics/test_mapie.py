"""Where MAPIE asks the same questions, it gives the same answers."""

import numpy as np
import pytest

from edgewise import certify
from edgewise.calibrate.bentkus import HoeffdingBentkus
from edgewise.calibrate.venn_abers import fit_steps
from edgewise.records import CalibrationKind, ConfidenceMap

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]

ALPHA, DELTA, N = 0.05, 0.1, 800


def losses(seed: int, *, graded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Give confidences, and what is lost where an answer is kept: more where it is unsure."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(N)
    lost = rng.random(N) < 0.3 * (1.0 - confidence)
    return confidence, lost * (rng.beta(3, 3, N) if graded else 1.0)


def test_the_p_values_of_hoeffding_and_bentkus_are_equal() -> None:
    from mapie.risk_control.methods import (  # noqa: PLC0415 - in its own environment only
        compute_hoeffding_bentkus_p_value,
    )

    for n in (50, 800):
        ours, means = HoeffdingBentkus(n), np.linspace(0.0, 0.12, 25) + 1e-4
        theirs = compute_hoeffding_bentkus_p_value(means, n, ALPHA)[:, 0]
        found = [ours.p_value(mean * n, ALPHA) for mean in means]
        assert found == pytest.approx(np.minimum(theirs, 1.0), rel=1e-6)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_fixed_sequence_ends_at_the_same_threshold(seed: int, *, graded: bool) -> None:
    from mapie.risk_control.methods import ltt_procedure  # noqa: PLC0415 - as above

    confidence, lost = losses(seed, graded=graded)
    thresholds = np.sort(confidence)[::-1]
    risks = np.cumsum(lost[np.argsort(-confidence)]) / N
    valid, _ = ltt_procedure(
        risks[None, :],
        np.array([[ALPHA]]),
        DELTA,
        np.full((1, N), N),
        binary=not graded,
        fwer_method="fixed_sequence",
    )

    ours = certify(
        confidence,
        1.0 - lost,
        np.ones(N),
        loss="regret",
        alpha=ALPHA,
        delta=DELTA,
        method="hoeffding_bentkus" if graded else "auto",
    )

    assert ours.threshold == thresholds[max(valid[0])]


@pytest.mark.parametrize("seed", range(3))
def test_its_controller_of_a_binary_risk_chooses_the_same_threshold(seed: int) -> None:
    from mapie.risk_control import (  # noqa: PLC0415 - as above
        BinaryClassificationController,
        BinaryRisk,
    )

    confidence, lost = losses(seed, graded=False)
    kept_and_lost = BinaryRisk(
        risk_occurrence=lambda wrong, kept: wrong * kept == 1,
        risk_condition=lambda _, kept: np.ones(len(kept), dtype=bool),
        higher_is_better=False,
    )
    controller = BinaryClassificationController(
        predict_function=lambda x: np.stack([1.0 - x[:, 0], x[:, 0]], axis=1),
        risk=kept_and_lost,
        target_level=ALPHA,
        confidence_level=1.0 - DELTA,
        best_predict_param_choice="predicted_positive_fraction",
        list_predict_params=np.sort(confidence),
        fwer_method="fixed_sequence",
    )
    controller.calibrate(confidence[:, None], lost.astype(int))

    ours = certify(confidence, 1.0 - lost, np.ones(N), loss="regret", alpha=ALPHA, delta=DELTA)

    assert ours.threshold == min(controller.valid_predict_params)


def test_venn_abers_gives_the_same_probabilities() -> None:
    from mapie._venn_abers import VennAbers  # noqa: PLC0415 - as above

    rng = np.random.default_rng(0)
    scores = rng.random(300)
    right = (rng.random(300) < scores**2).astype(float)
    fresh = rng.random(200)
    theirs = VennAbers()
    theirs.fit(np.stack([1.0 - scores, scores], axis=1), right)
    expected = theirs.predict_proba(np.stack([1.0 - fresh, fresh], axis=1))[0][:, 1]

    inputs, outputs = fit_steps(scores, right)

    steps = ConfidenceMap(kind=CalibrationKind.VENN_ABERS, inputs=inputs, outputs=outputs)
    assert [steps.at(float(score)) for score in fresh] == pytest.approx(expected)
