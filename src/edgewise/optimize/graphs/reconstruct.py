"""Which inputs a linear layer can do without, and the weights that then come nearest to it.

Sources: Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon",
1992; Frantar and Alistarh, "Optimal Brain Compression", 2022 (the layer's squared error as the
loss, rows taken away in batches); Sun et al., "A Simple and Effective Pruning Approach" (Wanda),
2023, for the scores without correction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgewise.optimize.graphs.wiring import Array

_DAMPING = 0.01
"""Share of the mean variance on the diagonal, as in SparseGPT."""
_ROUNDS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """The weights of the inputs that stay, and what the bias gains. Made by `Evidence.refit`."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What reaches a linear layer in the pruned model, and what it gave in the source.

    Made by `gather`. The covariances are around zero for a layer without a bias, which could not
    take up a difference of the means.
    """

    covariance: Array
    """Of the inputs, (n, n)."""
    crossed: Array
    """Of inputs and the layer's product in the source, (n, out)."""
    mean_in: Array
    mean_out: Array

    def refit(self, keep: Array, weight: Array) -> Refit:
        """Give the weights of the inputs `keep` that come nearest to the source's product.

        They are pulled toward the weights that these inputs have, so that leaving out an input
        that never changes changes nothing.
        """
        gram = self.covariance[np.ix_(keep, keep)]
        start = weight[keep].astype(np.float64)
        found = start + np.linalg.solve(_damped(gram), self.crossed[keep] - gram @ start)
        bias = self.mean_out - self.mean_in[keep] @ found
        return Refit(weight=found.astype(weight.dtype), bias=bias.astype(weight.dtype))


def gather(inputs: Sequence[Array], targets: Sequence[Array], *, has_bias: bool) -> Evidence:
    """Gather evidence from arrays of shape (rows, n) and (rows, out)."""
    given = np.concatenate(inputs).astype(np.float64)
    wanted = np.concatenate(targets).astype(np.float64)
    mean_in, mean_out = np.zeros(given.shape[1]), np.zeros(wanted.shape[1])
    if has_bias:
        mean_in, mean_out = given.mean(axis=0), wanted.mean(axis=0)
    given -= mean_in
    wanted -= mean_out
    return Evidence(
        covariance=given.T @ given / len(given),
        crossed=given.T @ wanted / len(given),
        mean_in=mean_in,
        mean_out=mean_out,
    )


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
    return np.asarray(
        [np.sum((gram[at, at] @ weight[at]) * weight[at]) for at in _units(gram, size)]
    )


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
                [
                    np.sum(np.linalg.solve(inverse[u, u], left[u]) * left[u])
                    for u in _units(left, size)
                ]
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


def _damped(gram: Array) -> Array:
    ridge = _DAMPING * float(np.mean(np.diagonal(gram)))
    return gram + max(ridge, 1e-12) * np.eye(len(gram))


def _units(held: Array, size: int) -> Iterator[slice]:
    return (slice(at, at + size) for at in range(0, len(held), size))
