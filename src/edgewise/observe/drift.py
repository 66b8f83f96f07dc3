"""Whether inputs still look as they did: windows of requests against a reference. A warning.

For each thing that is watched, such as length or confidence, the shares of a window fall into the
bins of a reference sample's histogram. The distance D is the largest difference of the two
cumulative shares (Kolmogorov and Smirnov). With n requests in a window and m in the reference,

    p = min(1, 4 exp(-2 c²)),  c = D / (1/√n + 1/√m),

is a p-value for any n and m: D is above its two parts' sum ε/√n + ε/√m only if one of the two
samples is further than that from what both are drawn from, which happens with probability at most
2 exp(-2 ε²) each (Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality, 1990).
The k-th window is held against the level false_alarms / (number of things · k (k + 1)), and these
levels sum to false_alarms over all windows for ever: so that is the most that the chance of any
false warning can be, while requests are independent.

A warning says that inputs changed. It proves no loss, and no warning proves no change: a shift
inside a bin or smaller than the window can show is not seen.

A bundle gives no embedding of its inputs, but its probabilities place them: their logarithms, less
their mean, are watched along the directions in which they vary most. What a classifier puts out
tells a shift better than most other reductions of its input (Rabanser, Günnemann and Lipton,
Failing loudly, 2019).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from edgewise.errors import InvalidData
from edgewise.observe.languages import LANGUAGES, language_of
from edgewise.records import (
    DriftRules,
    DriftWarning,
    Histogram,
    Input,
    Policy,
    Prediction,
    RequestFacts,
)

_BINS = 10
_OF_THE_EDGE = ("confidence", "embedding")
_LEAST = 1e-6
"""Probabilities below are taken for this much: rounding may not look like a shift."""


class Told(Protocol):
    """Hears of each window that was compared: of what, how far apart, and whether it differs."""

    def __call__(self, what: str, distance: float, *, differs: bool) -> None:
        """Note it. Called on the engine's event loop; returns at once."""


class DriftWatch:
    """Compares what requests look like with a reference. Made by the composer, fed by the engine.

    A warning stands until a later window of the same thing differs no more.

    Parameters
    ----------
    rules
        What is watched before `begin` names a policy.
    told
        Called after each window.
    watches
        Processes that watch one policy's requests, each for itself: they share `false_alarms`.
    """

    def __init__(
        self,
        rules: DriftRules | None = None,
        *,
        told: Told | None = None,
        watches: int = 1,
    ) -> None:
        self._told, self._watches = told, watches
        self._standing: tuple[DriftWarning, ...] = ()
        self._watch(DriftRules() if rules is None else rules)

    @property
    def warnings(self) -> tuple[DriftWarning, ...]:
        """Give the warning of each thing whose last window was found to differ."""
        return self._standing

    @property
    def is_watching(self) -> bool:
        """Say whether there is anything to compare with."""
        return bool(self._reference)

    def begin(self, policy: Policy) -> None:
        """Watch by a policy's rules from now on; by the same ones it goes on counting."""
        rules = rules_of(policy)
        if rules != self._rules:
            self._watch(rules)

    def look(
        self,
        facts: RequestFacts,
        one: Input,
        answer: Prediction | None,
        confidence: float | None,
        now_s: float,
    ) -> tuple[DriftWarning, ...]:
        """See a request, and what the nearest tier said of it where it was asked.

        Gives what was found to differ just now.
        """
        values = {"length": float(facts.input_length)}
        text = one.get("text")
        if "language" in self._reference and isinstance(text, str):
            values["language"] = float(language_of(text))
        if confidence is not None:
            values["confidence"] = confidence
        directions = self._rules.directions
        if directions and answer is not None and len(answer.probabilities) == len(directions[0]):
            values |= projections(output_of(answer.probabilities), directions)
        return self.see(values, now_s)

    def see(self, values: Mapping[str, float], now_s: float) -> tuple[DriftWarning, ...]:
        """Count one request's values by name, and give what was found to differ just now.

        Names without a reference are passed over.

        Raises
        ------
        InvalidData
            When a value is not a number.
        """
        found = []
        for name, value in values.items():
            reference = self._reference.get(name)
            if reference is None:
                continue
            if math.isnan(value):
                what = f"`{name}` is not a number"
                raise InvalidData(what, where="DriftWatch.see", hint="leave it out")
            counts = self._counts[name]
            counts[bisect_left(reference.edges, value)] += 1
            if sum(counts) >= self._rules.window:
                warning = self._compare(reference, counts, now_s)
                counts[:] = [0] * len(counts)
                self._standing = tuple(other for other in self._standing if other.name != name)
                if warning is not None:
                    self._standing += (warning,)
                    found.append(warning)
        return tuple(found)

    def _watch(self, rules: DriftRules) -> None:
        self._rules = rules
        self._reference = {one.name: one for one in rules.reference}
        self._counts = {one.name: [0] * len(one.counts) for one in rules.reference}
        self._windows = dict.fromkeys(self._reference, 0)
        self._standing = ()

    def _compare(
        self, reference: Histogram, counts: Sequence[int], now_s: float
    ) -> DriftWarning | None:
        name = reference.name
        self._windows[name] = number = self._windows[name] + 1
        among = len(self._reference) * self._watches
        level = self._rules.false_alarms / (among * number * (number + 1))
        p_value = p_value_of(reference.counts, counts)
        distance = stability_index(reference.counts, counts)
        if self._told is not None:
            self._told(name, distance, differs=p_value <= level)
        if p_value > level:
            return None
        return DriftWarning(
            name=name,
            window=number,
            p_value=p_value,
            at_most=level,
            distance=distance,
            at_s=now_s,
        )


def rules_of(policy: Policy) -> DriftRules:
    """Give what is watched under a policy.

    Where a pre-router sends requests past the nearest tier, what that tier says is of a chosen
    part of them: then it is not compared.
    """
    rules = DriftRules() if policy.drift is None else policy.drift
    if policy.preroute is None:
        return rules
    kept = [one for one in rules.reference if not one.name.startswith(_OF_THE_EDGE)]
    return replace(rules, reference=tuple(kept))


def p_value_of(reference: Sequence[int], window: Sequence[int]) -> float:
    """Give the chance, at most, of so large a difference between two samples of one source."""
    m, n = sum(reference), sum(window)
    most, one, other = 0.0, 0, 0
    for first, second in zip(reference, window, strict=True):
        one, other = one + first, other + second
        most = max(most, abs(one / m - other / n))
    c = most / (1.0 / math.sqrt(n) + 1.0 / math.sqrt(m))
    return min(1.0, 4.0 * math.exp(-2.0 * c * c))


def stability_index(reference: Sequence[int], window: Sequence[int]) -> float:
    """Give the population stability index; half a request is added to each bin."""
    m, n = sum(reference) + 0.5 * len(reference), sum(window) + 0.5 * len(window)
    total = 0.0
    for first, second in zip(reference, window, strict=True):
        was, now = (first + 0.5) / m, (second + 0.5) / n
        total += (now - was) * math.log(now / was)
    return total


def histogram_of(name: str, values: Sequence[float], bins: int = _BINS) -> Histogram:
    """Count a reference sample in bins of about equal shares, where its values allow that.

    Where the least value fills a bin of its own, there is another one for what is below it.

    Raises
    ------
    InvalidData
        When there is no value, or one is not finite.
    """
    if not values or not all(math.isfinite(one) for one in values):
        what = "no values, or one that is not finite"
        raise InvalidData(what, where=f"histogram `{name}`", hint="give a sample of numbers")
    ranked = sorted(values)
    cuts = (ranked[len(ranked) * place // bins] for place in range(1, bins))
    least = (
        [math.nextafter(ranked[0], -math.inf)] if ranked[len(ranked) // bins] == ranked[0] else []
    )
    edges = tuple(float(one) for one in dict.fromkeys([*least, *cuts]))
    counts = [0] * (len(edges) + 1)
    for one in ranked:
        counts[bisect_left(edges, one)] += 1
    return Histogram(name=name, edges=edges, counts=tuple(counts))


def histogram_of_languages(texts: Sequence[str]) -> Histogram:
    """Count a reference sample of texts by language, for values that `language_of` gives."""
    counts = [0] * len(LANGUAGES)
    for text in texts:
        counts[language_of(text)] += 1
    edges = tuple(float(place) for place in range(len(LANGUAGES) - 1))
    return Histogram(name="language", edges=edges, counts=tuple(counts))


def output_of(probabilities: Sequence[float]) -> list[float]:
    """Give a classifier's output as the embedding of its input: centred log-probabilities."""
    logs = [math.log(one) if one > _LEAST else math.log(_LEAST) for one in probabilities]
    mean = math.fsum(logs) / len(logs)
    return [one - mean for one in logs]


def projections(
    embedding: Sequence[float], directions: Sequence[Sequence[float]]
) -> dict[str, float]:
    """Give an embedding's coordinates along fixed directions, to be watched as numbers."""
    return {
        f"embedding_{place}": math.fsum(a * b for a, b in zip(embedding, one, strict=True))
        for place, one in enumerate(directions)
    }
