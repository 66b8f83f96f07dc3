"""The gain of a prompt from weights, in microseconds, and how good an order by gain is."""

import base64
import binascii
import math
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.errors import InvalidData, InvalidRecord
from edgewise.preroute.features import FEATURES, read
from edgewise.preroute.words import buckets_of
from edgewise.records import PreRouterWeights


class Scorer:
    """Weights unpacked for use. Holds nothing that a call changes, so any thread may ask it."""

    def __init__(self, weights: PreRouterWeights) -> None:
        self._offset = weights.offset
        self._bits = weights.word_bits
        self._depth = weights.depth
        self._words = _inflate(weights.words, 1 << weights.word_bits)
        self._word_scale = weights.word_scale
        self._components = _numbers(weights.components, "<f4", "components")
        self.width = weights.embedding_width
        if self._components.size % (self.width or 1):
            raise _unreadable("components")
        self._components = self._components.reshape(-1, self.width or 1)
        self._split_on = _numbers(weights.split_features, "<u2", "split_features").astype(np.intp)
        above = _numbers(weights.split_thresholds, "<f4", "split_thresholds")
        self._above = above.astype(np.float32, copy=False)
        leaves = _numbers(weights.leaves, "<i2", "leaves")
        self._leaves = leaves.astype(np.float32) * np.float32(weights.leaf_scale)
        trees = len(self._leaves) >> weights.depth
        self._first = np.arange(trees, dtype=np.intp) << weights.depth
        splits = trees * weights.depth
        read_here = FEATURES + len(self._components) if self.width else FEATURES
        if (
            len(self._leaves) != trees << weights.depth
            or len(self._split_on) != splits
            or len(self._above) != splits
            or (splits and int(self._split_on.max()) >= read_here)
            or not np.isfinite(self._above).all()
            or not np.isfinite(self._components).all()
            or bool(len(self._components)) != bool(self.width)
        ):
            what = f"{trees} trees of depth {weights.depth} do not fit their splits"
            raise InvalidRecord(what, where="PreRouterWeights", hint="fit the pre-router anew")

    def __call__(self, prompt: str, embedding: NDArray[np.floating] | None = None) -> float:
        """Give the expected gain, in -1..1."""
        reading = read(prompt)
        features = reading.form
        if embedding is not None:
            shown = self._components @ embedding.astype(np.float32, copy=False)
            features = np.concatenate([features, shown])
        # The first split of a tree is the highest bit of its byte.
        bits = np.packbits(
            (features[self._split_on] > self._above).reshape(-1, self._depth), axis=1
        )
        leaf = self._first + (bits[:, 0] >> (8 - self._depth))
        gain = self._offset + float(self._leaves[leaf].sum())
        if len(reading.words):
            buckets = buckets_of(reading.words, self._bits)
            new = np.empty(len(buckets), bool)
            new[0] = True
            np.not_equal(buckets[1:], buckets[:-1], out=new[1:])
            once = buckets[new]
            total = int(self._words.take(once).sum(dtype=np.int64))
            gain += self._word_scale * total / math.sqrt(len(once))
        return min(max(gain, -1.0), 1.0)


def apgr(score: ArrayLike, edge_quality: ArrayLike, cloud_quality: ArrayLike) -> float:
    """Give the area under the share of the quality gap recovered, over the share sent far.

    0.5 is chance. Ties count as their mean. Ong et al., RouteLLM (2024).

    Parameters
    ----------
    score : shape (n,)
        The highest are sent first.

    Raises
    ------
    InvalidData
        When the far tier is not better on the whole: there is no gap to recover.
    """
    order = -np.asarray(score, dtype=float)
    gain = np.asarray(cloud_quality, dtype=float) - np.asarray(edge_quality, dtype=float)
    if not gain.sum() > 0:
        raise InvalidData(
            "the far tier is not better on the whole", where="apgr", hint="there is no gap"
        )
    _, place, count = np.unique(order, return_inverse=True, return_counts=True)
    share = np.repeat(np.bincount(place, gain) / count, count) / gain.sum()
    recovered = np.concatenate([[0.0], np.cumsum(share)])
    return float(np.mean((recovered[1:] + recovered[:-1]) / 2))


def _numbers(text: str, kind: str, name: str) -> NDArray[np.generic]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), np.dtype(kind))
    except (binascii.Error, ValueError) as broken:
        raise _unreadable(name) from broken


def _inflate(text: str, size: int) -> NDArray[np.int8]:
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, ValueError, zlib.error) as broken:
        raise _unreadable("words") from broken
    if len(data) != size:
        raise _unreadable("words")
    return np.frombuffer(data, np.int8)


def _unreadable(name: str) -> InvalidRecord:
    hint = "fit the pre-router anew"
    return InvalidRecord("not what was written", where=f"PreRouterWeights.{name}", hint=hint)
