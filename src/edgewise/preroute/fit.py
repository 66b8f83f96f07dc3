"""Fits the weights of a pre-router, and says what they were worth on prompts left out."""

import base64
import zlib
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgewise.preroute.features import Reading
from edgewise.preroute.scoring import apgr
from edgewise.preroute.trees import DEPTH, TREES, Trees, fit_trees, score_trees
from edgewise.preroute.words import BITS, fit_words, rows_of, score_words
from edgewise.records import PreRouterEvidence, PreRouterWeights

Floats = NDArray[np.float64]
FOLDS = 4
_STAGES = (20, 40, 80, 120, TREES)
_COMPONENTS = 24


def fit_weights(
    readings: Sequence[Reading],
    edge: Floats,
    cloud: Floats,
    *,
    keys: Sequence[Hashable],
    grouped: bool,
    embeddings: NDArray[np.float32] | None,
    seed: int,
) -> PreRouterWeights:
    """Fit words and trees, and weigh them by what each says of prompts that it did not see.

    Parameters
    ----------
    keys
        Prompts of one key are kept together in the inner folds.
    grouped
        Whether the keys are groups, or only prompts that are the same.
    embeddings
        One row a prompt, or none.
    """
    gain = cloud - edge
    rows = rows_of(readings)
    components = None if embeddings is None else _main_components(embeddings)
    forms = np.stack([one.form for one in readings])
    if embeddings is not None and components is not None:
        forms = np.hstack([forms, embeddings @ components.T])
    fold = _deal(keys, seed)
    by_words, by_trees = np.zeros(len(gain)), np.zeros((len(_STAGES), len(gain)))
    for k in range(int(fold.max()) + 1):
        seen, unseen = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        weights = fit_words(rows.take(seen), gain[seen])
        by_words[unseen] = score_words(rows.take(unseen), weights)
        trees = fit_trees(forms[seen], edge[seen], cloud[seen], seed=seed)
        by_trees[:, unseen] = score_trees(trees, forms[unseen], _STAGES)
    stacked = [_stack(gain, one, by_words) for one in by_trees]
    stage = int(np.argmin([error for error, _ in stacked]))
    tree_share, word_share, offset = stacked[stage][1]
    unseen_gain = offset + tree_share * by_trees[stage] + word_share * by_words
    evidence = PreRouterEvidence(
        n=len(gain),
        groups=len(set(keys)) if grouped else 0,
        mean_gain=float(gain.mean()),
        apgr=apgr(unseen_gain, edge, cloud) if gain.mean() > 0 else None,
        mse=float(np.mean((gain - unseen_gain) ** 2)),
        mse_of_mean=float(gain.var()),
    )
    trees = fit_trees(forms, edge, cloud, seed=seed, trees=_STAGES[stage])
    return _pack(
        trees,
        fit_words(rows, gain),
        (tree_share, word_share, offset),
        components,
        evidence,
    )


def _deal(keys: Sequence[Hashable], seed: int) -> NDArray[np.int64]:
    """Deal the keys to folds, in an order that the seed shuffles."""
    number = {key: at for at, key in enumerate(dict.fromkeys(keys))}
    order = np.random.default_rng(seed).permutation(len(number))
    fold: NDArray[np.int64] = (order % min(FOLDS, len(number)))[[number[key] for key in keys]]
    return fold


def _main_components(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = (embeddings - embeddings.mean(axis=0)).astype(np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(vectors.T[::-1][:_COMPONENTS], dtype=np.float32)


def _stack(gain: Floats, trees: Floats, words: Floats) -> tuple[float, tuple[float, float, float]]:
    """Give the squared error and the shares of trees and words; a share is never below zero."""
    best = (float(gain.var()), (0.0, 0.0, float(gain.mean())))
    for use in ((True, False), (False, True), (True, True)):
        columns = np.stack([trees, words])[list(use)]
        design = np.vstack([columns, np.ones(len(gain))]).T
        solved = np.linalg.lstsq(design, gain, rcond=None)[0]
        error = float(np.mean((gain - design @ solved) ** 2))
        if error < best[0] and (solved[:-1] >= 0).all():
            shares = np.zeros(2)
            shares[list(use)] = solved[:-1]
            best = (error, (float(shares[0]), float(shares[1]), float(solved[-1])))
    return best


def _pack(
    trees: Trees,
    words: Floats,
    shares: tuple[float, float, float],
    components: NDArray[np.float32] | None,
    evidence: PreRouterEvidence,
) -> PreRouterWeights:
    tree_share, word_share, offset = shares
    leaf_scale = float(np.abs(trees.leaf).max()) / 32767 or 1.0
    word_scale = float(np.abs(words).max()) / 127 or 1.0
    table = np.round(words / word_scale).astype("<i1")
    return PreRouterWeights(
        offset=offset + tree_share * trees.offset,
        word_bits=BITS,
        words=_text(zlib.compress(table.tobytes(), 9)),
        word_scale=word_scale * word_share,
        depth=DEPTH,
        split_features=_text(trees.feature.astype("<u2").tobytes()),
        split_thresholds=_text(
            np.minimum(trees.threshold, np.finfo(np.float32).max).astype("<f4").tobytes()
        ),
        leaves=_text(np.round(trees.leaf / leaf_scale).astype("<i2").tobytes()),
        leaf_scale=leaf_scale * tree_share,
        embedding_width=0 if components is None else components.shape[1],
        components="" if components is None else _text(components.astype("<f4").tobytes()),
        evidence=evidence,
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
