"""The linear head and its penalty."""

import numpy as np

from edgewise.optimize.passes.head import STRENGTHS, choose_strength, train_head


def apart(n: int) -> tuple[np.ndarray, list[int]]:
    """Give two clouds so far apart that every penalty parts them."""
    labels = [i % 2 for i in range(n)]
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, 4)) + 20.0 * np.asarray(labels)[:, None]
    return features.astype(np.float32), labels


def test_of_penalties_that_do_equally_well_the_strongest_is_taken() -> None:
    features, labels = apart(200)
    right = []
    for strength in STRENGTHS:
        weight, bias = train_head(features, labels, 2, strength)
        right.append(float(np.mean((features @ weight.T + bias).argmax(axis=1) == labels)))

    assert right == [1.0] * len(STRENGTHS)
    assert choose_strength(features, labels, 2) == min(STRENGTHS)


def test_a_stronger_penalty_makes_a_smaller_weight() -> None:
    features, labels = apart(200)

    sizes = [float(np.abs(train_head(features, labels, 2, s)[0]).sum()) for s in STRENGTHS]

    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
