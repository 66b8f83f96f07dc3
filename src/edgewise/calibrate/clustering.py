"""Whether examples look dependent: what a certificate says of it, and folds that keep them whole.

A warning, not a proof: a speaker's recordings or a user's messages err together, so that n rows
tell less than n independent ones would.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_BINS = 10
_SURE = 4.0
_FEWEST = 30


def clustering_warnings(
    confidence: Floats, quality: Floats, clusters: NDArray[np.int64] | None
) -> tuple[str, ...]:
    """Say how much rows of a cluster err together; without clusters, whether neighbours do.

    Errors are compared with what is usual at their confidence, so a sorted file is no cluster.
    """
    if len(quality) < _FEWEST:
        return ()
    surprise = _surprise(confidence, quality)
    if clusters is not None:
        return _within(surprise, clusters)
    spread = float((surprise**2).sum())
    if spread == 0.0:
        return ()
    correlation = float((surprise[1:] * surprise[:-1]).sum()) / spread
    if correlation * np.sqrt(len(surprise)) <= _SURE:
        return ()
    return (
        f"neighbouring rows err together (correlation {correlation:.2f}): if they are of one "
        "speaker, user or session, name it by `clusters`",
    )


def repeats_warning(names: Sequence[str]) -> tuple[str, ...]:
    """Say how many inputs are repeated, once case and white space are folded."""
    counts = Counter(" ".join(name.casefold().split()) for name in names)
    repeated = sum(count for count in counts.values() if count > 1)
    if not repeated:
        return ()
    return (f"{repeated} of {len(names)} inputs are repeated, so they are not independent",)


def folds_of(n: int, folds: int, clusters: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Deal examples to folds in turn; those of a cluster to one."""
    if clusters is None:
        return np.arange(n) % folds
    # By size, so that one large cluster does not make one large fold.
    size = np.bincount(clusters)
    load, fold = np.zeros(folds, dtype=np.int64), np.empty(len(size), dtype=np.int64)
    for cluster in np.argsort(-size, kind="stable"):
        fold[cluster] = np.argmin(load)
        load[fold[cluster]] += size[cluster]
    return fold[clusters]


def _surprise(confidence: Floats, quality: Floats) -> Floats:
    order = np.argsort(confidence, kind="stable")
    found = np.empty(len(quality))
    for part in np.array_split(order, _BINS):
        found[part] = quality[part] - quality[part].mean()
    return found


def _within(surprise: Floats, clusters: NDArray[np.int64]) -> tuple[str, ...]:
    """Give the intra-cluster correlation by analysis of variance, and what it makes of n."""
    n, size = len(surprise), np.bincount(clusters)
    k = len(size)
    if k == n or k < 2:
        return ()
    means = np.bincount(clusters, surprise) / size
    between = float((size * (means - surprise.mean()) ** 2).sum()) / (k - 1)
    inside = float(((surprise - means[clusters]) ** 2).sum()) / (n - k)
    typical = (n - float((size**2).sum()) / n) / (k - 1)
    total = between + (typical - 1.0) * inside
    correlation = max(0.0, (between - inside) / total) if total > 0.0 else 0.0
    effective = n / (1.0 + (float((size**2).sum()) / n - 1.0) * correlation)
    return (
        f"{n} rows of {k} clusters err together with correlation {correlation:.2f}: they tell as "
        f"much as about {effective:.0f} independent ones",
    )
