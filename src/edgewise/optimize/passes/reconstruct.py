"""Which inputs a linear layer can do without, and the weights that then come nearest to it.

Sources: Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon",
1992; Frantar and Alistarh, "Optimal Brain Compression", 2022 (the layer's squared error as the
loss, rows taken away in batches); Sun et al., "A Simple and Effective Pruning Approach" (Wanda),
2023, for the scores without correction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgewise.optimize.passes.wiring import Array

_DAMPING = 0.01
"""Share of the mean variance on the diagonal, as in SparseGPT."""
_ROUNDS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """The weights of the inputs that stay, and the bias. Made by `refit`."""

    weight: Array
    bias: Array


def score_units(gram: Array, weight: Array, size: int) -> Array:
    """Give the output energy of each unit of `size` inputs.

    Parameters
    ----------
    gram : shape (n, n), or (n,) for its diagonal, which suffices for units of one input
        Mean of a' a.
    weight : shape (n, out)
    """
    if size == 1:
        diagonal = gram if gram.ndim == 1 else np.diagonal(gram)
        return np.asarray(diagonal * np.square(weight, dtype=np.float64).sum(axis=1))
    return np.asarray([np.sum((gram[at, at] @ weight[at]) * weight[at]) for at in _units(gram, size)])


def keep_best(scores: Array, drop: int) -> Array:
    """Give the indices that stay, in order; of equals, the later ones go first."""
    order = np.lexsort((-np.arange(len(scores)), scores))
    return np.sort(order[drop:])


def keep_correctable(covariance: Array, weight: Array, drop: int, size: int) -> Array:
    """Give the units that stay when the rest is taken away where it costs least.

    The cost counts that the weights which stay make up for what goes. Units go in rounds, and
    after each the costs are worked out again.
    """
    units = len(weight) // size
    inverse = np.linalg.inv(_damped(covariance))
    left = weight.astype(np.float64)
    alive = np.arange(units)
    at_once = 1 if size > 1 else max(1, drop // _ROUNDS)
    while drop > 0:
        if size == 1:
            costs = np.square(left).sum(axis=1) / np.diagonal(inverse)
        else:
            costs = np.asarray(
                [np.sum(np.linalg.solve(inverse[u, u], left[u]) * left[u]) for u in _units(left, size)]
            )
        goes = np.lexsort((-np.arange(len(alive)), costs))[: min(at_once, drop)]
        out = np.concatenate([np.arange(u * size, (u + 1) * size) for u in goes])
        stays = np.setdiff1d(np.arange(len(left)), out)
        toward = np.linalg.solve(inverse[np.ix_(out, out)], np.hstack([inverse[out], left[out]]))
        change = inverse[:, out] @ toward
        inverse = (inverse - change[:, : len(inverse)])[np.ix_(stays, stays)]
        left = (left - change[:, -left.shape[1] :])[stays]
        alive = np.delete(alive, goes)
        drop -= len(goes)
    return alive


def refit(
    inputs: Sequence[Array], targets: Sequence[Array], weight: Array, *, has_bias: bool
) -> Refit:
    """Give the weights that bring `inputs` nearest to `targets`, pulled toward `weight`.

    Parameters
    ----------
    inputs : arrays of shape (rows, n)
        What reaches the layer in the pruned model.
    targets : arrays of shape (rows, out)
        The layer's product in the source, without its bias.
    weight : shape (n, out)
    has_bias
        Let the bias take up the difference of the means. The bias given back is an addition.
    """
    rows = sum(len(part) for part in inputs)
    start, out = weight.astype(np.float64), weight.shape[1]
    mean_in, mean_out = np.zeros(len(weight)), np.zeros(out)
    if has_bias:
        mean_in = sum((part.sum(axis=0, dtype=np.float64) for part in inputs), mean_in) / rows
        mean_out = sum((part.sum(axis=0, dtype=np.float64) for part in targets), mean_out) / rows
    gram, cross = np.zeros((len(weight), len(weight))), np.zeros(weight.shape)
    for part, target in zip(inputs, targets, strict=True):
        centred = part - mean_in
        gram += centred.T @ centred
        cross += centred.T @ (target - mean_out)
    gram, cross = gram / rows, cross / rows
    found = start + np.linalg.solve(_damped(gram), cross - gram @ start)
    return Refit(
        weight=found.astype(weight.dtype),
        bias=(mean_out - mean_in @ found).astype(weight.dtype),
    )


def covariance_of(inputs: Sequence[Array], *, centred: bool) -> Array:
    """Give the mean of a' a, around the mean when `centred`."""
    rows = sum(len(part) for part in inputs)
    width = inputs[0].shape[1]
    gram: Array = sum((p.T.astype(np.float64) @ p for p in inputs), np.zeros((width, width)))
    mean: Array = sum((p.sum(axis=0, dtype=np.float64) for p in inputs), np.zeros(width)) / rows
    return gram / rows - (np.outer(mean, mean) if centred else 0.0)


def _damped(gram: Array) -> Array:
    ridge = _DAMPING * float(np.mean(np.diagonal(gram)))
    return gram + max(ridge, 1e-12) * np.eye(len(gram))


def _units(held: Array, size: int) -> Iterator[slice]:
    return (slice(at, at + size) for at in range(0, len(held), size))
