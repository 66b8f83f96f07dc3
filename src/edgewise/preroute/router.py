"""`PreRouter`: fitted on prompts with the quality of two tiers, asked before any model runs."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgewise.errors import InvalidData
from edgewise.preroute.features import read
from edgewise.preroute.fit import fit_weights
from edgewise.preroute.scoring import Scorer
from edgewise.records import PreRouterWeights

Embed = Callable[[Sequence[str]], NDArray[np.floating]]
"""Gives one vector a prompt: shape (n, width)."""

_LEAST = 20


class PreRouter:
    """Predicts how much better the far tier answers a prompt, from the prompt alone.

    Parameters
    ----------
    weights
        What `fit` made, or what a policy holds.
    embed
        The encoder that the weights were fitted with, where they were.

    Raises
    ------
    InvalidRecord
        When the weights do not hold together.
    InvalidData
        When the weights need an encoder and none is given, or the other way round.

    Examples
    --------
    >>> easy, hard = [f"add {i} and 2" for i in range(50)], [f"prove lemma {i}" for i in range(50)]
    >>> router = PreRouter.fit(easy + hard, [1] * 50 + [0] * 50, [1] * 100)
    >>> add, prove = router.gain(["add 7 and 2", "prove lemma 7"])
    >>> bool(prove > add)
    True
    """

    def __init__(self, weights: PreRouterWeights, *, embed: Embed | None = None) -> None:
        self.weights = weights
        self._score = Scorer(weights)
        self._embed = embed
        if (embed is not None) != bool(self._score.width):
            needs = "need" if embed is None else "do not use"
            hint = "give `embed` exactly where the pre-router was fitted with it"
            raise InvalidData(f"the weights {needs} an encoder", where="PreRouter", hint=hint)

    @classmethod
    def fit(
        cls,
        prompts: Sequence[str],
        edge_quality: ArrayLike,
        cloud_quality: ArrayLike,
        groups: Sequence[object] | None = None,
        *,
        embed: Embed | None = None,
        seed: int = 0,
    ) -> "PreRouter":
        """Fit on prompts that both tiers have answered. Ten thousand take about 20 seconds.

        Parameters
        ----------
        edge_quality, cloud_quality : shape (n,), in 0..1
            Right or wrong, or a graded quality.
        groups
            Domains, users or sessions. A group is kept whole in the inner folds, so that words and
            form are weighed by what they say of groups never seen.
        embed
            An encoder, such as `LocalModel.embed` of a bundle behind a small function. It costs
            milliseconds a prompt. A middle layer tells more of what is hard than the last.
        seed
            The same one gives the same weights.

        Raises
        ------
        InvalidData
            When lengths differ, a quality is outside 0..1, or there are fewer than 20 prompts or
            two groups.
        """
        texts = _texts(prompts)
        edge, cloud = (
            _quality(name, values, len(texts))
            for name, values in (("edge_quality", edge_quality), ("cloud_quality", cloud_quality))
        )
        if len(texts) < _LEAST:
            what, hint = f"{len(texts)} prompts", f"give at least {_LEAST}, better thousands"
            raise InvalidData(what, where="prompts", hint=hint)
        keys = (
            [" ".join(text.split()) for text in texts] if groups is None else list(map(str, groups))
        )
        if len(keys) != len(texts) or len(set(keys)) < 2:
            what = f"{len(set(keys))} different keys in {len(keys)} for {len(texts)} prompts"
            where = "prompts" if groups is None else "groups"
            raise InvalidData(what, where=where, hint="give one a prompt, at least two of them")
        weights = fit_weights(
            [read(text) for text in texts],
            edge,
            cloud,
            keys=keys,
            grouped=groups is not None,
            embeddings=None if embed is None else _embeddings(embed, texts, None),
            seed=seed,
        )
        return cls(weights, embed=embed)

    def gain(self, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Give the expected gain of the far tier, in -1..1; higher means send.

        Raises
        ------
        InvalidData
            When a prompt is no text, or the encoder gives vectors of another shape.
        """
        texts = _texts(prompts)
        if self._embed is None or not texts:
            return np.array([self._score(text) for text in texts], dtype=float)
        vectors = _embeddings(self._embed, texts, self._score.width)
        pairs = zip(texts, vectors, strict=True)
        return np.array([self._score(text, vector) for text, vector in pairs], dtype=float)

    def gain_of(self, prompt: str) -> float:
        """Give the expected gain of one prompt, as the engine asks it."""
        if self._embed is None:
            return self._score(prompt)
        return float(self.gain([prompt])[0])


def _texts(prompts: Sequence[str]) -> list[str]:
    if isinstance(prompts, str):
        hint = "give a list of prompts, also for one"
        raise InvalidData("one text instead of a list", where="prompts", hint=hint)
    texts = list(prompts)
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            what = f"a {type(text).__name__} instead of a text"
            raise InvalidData(what, where=f"prompts[{at}]", hint="give strings")
    return texts


def _quality(name: str, values: ArrayLike, n: int) -> NDArray[np.float64]:
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as broken:
        raise InvalidData("not numbers", where=name, hint="give numbers in 0..1") from broken
    if found.shape != (n,):
        what = f"shape {found.shape} for {n} prompts"
        raise InvalidData(what, where=name, hint=f"give shape ({n},)")
    if not ((found >= 0) & (found <= 1)).all():
        raise InvalidData(
            "a quality outside 0..1", where=name, hint="give 0 for wrong, 1 for right"
        )
    return found


def _embeddings(embed: Embed, texts: list[str], width: int | None) -> NDArray[np.float32]:
    found = np.asarray(embed(texts), dtype=np.float32)
    right = found.ndim == 2 and len(found) == len(texts) and found.shape[1] > 0
    if not right or (width is not None and found.shape[1] != width):
        what = f"shape {found.shape} for {len(texts)} prompts"
        hint = "give one vector a prompt, as wide as those fitted on"
        raise InvalidData(what, where="embed", hint=hint)
    if not np.isfinite(found).all():
        hint = "look at what the encoder was given"
        raise InvalidData("a number that is not finite", where="embed", hint=hint)
    return found
