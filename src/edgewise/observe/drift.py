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
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from edgewise.errors import InvalidData
from edgewise.records import (
    Decision,
    DriftRules,
    DriftWarning,
    Histogram,
    Outcome,
)

_BINS = 10
_SCRIPTS = (
    ("latin", 0x0000, 0x007F),
    ("latin with marks", 0x0080, 0x024F),
    ("greek", 0x0370, 0x03FF),
    ("cyrillic", 0x0400, 0x052F),
    ("hebrew", 0x0590, 0x05FF),
    ("arabic", 0x0600, 0x06FF),
    ("indic", 0x0900, 0x0DFF),
    ("thai", 0x0E00, 0x0E7F),
    ("kana", 0x3040, 0x30FF),
    ("han", 0x4E00, 0x9FFF),
    ("hangul", 0xAC00, 0xD7A3),
)
_OTHER = len(_SCRIPTS)
_MARKED_SHARE = 0.02


class DriftWatch:
    """Compares what requests look like with a reference. Made and fed by the composer.

    It is a sink of decisions: it reads the input's length and the nearest tier's confidence from
    them. What else the reference has, such as a text's script, is told by `see`.
    """

    def __init__(self, rules: DriftRules) -> None:
        self._rules = rules
        self._reference = {one.name: one for one in rules.reference}
        self._counts = {one.name: [0] * len(one.counts) for one in rules.reference}
        self._windows = dict.fromkeys(self._reference, 0)
        self._warnings: dict[str, DriftWarning] = {}

    @property
    def warnings(self) -> tuple[DriftWarning, ...]:
        """Give the last warning of each thing that was found to differ."""
        return tuple(self._warnings.values())

    def append(self, decision: Decision) -> None:
        """See a decision's input length, and the confidence of the tier that answered first."""
        values = {"length": float(decision.facts.input_length)}
        first = next((a for a in decision.attempts if a.outcome is Outcome.ANSWERED), None)
        if first is not None and first.confidence is not None:
            values["confidence"] = first.confidence
        self.see(values, decision.at_s)

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
                if warning is not None:
                    self._warnings[name] = warning
                    found.append(warning)
        return tuple(found)

    def _compare(
        self, reference: Histogram, counts: Sequence[int], now_s: float
    ) -> DriftWarning | None:
        name = reference.name
        self._windows[name] = number = self._windows[name] + 1
        level = self._rules.false_alarms / (len(self._reference) * number * (number + 1))
        p_value = p_value_of(reference.counts, counts)
        if p_value > level:
            return None
        return DriftWarning(
            name=name,
            window=number,
            p_value=p_value,
            at_most=level,
            distance=stability_index(reference.counts, counts),
            at_s=now_s,
        )


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
    edges = tuple(float(one) for one in dict.fromkeys(cuts))
    counts = [0] * (len(edges) + 1)
    for one in ranked:
        counts[bisect_left(edges, one)] += 1
    return Histogram(name=name, edges=edges, counts=tuple(counts))


def histogram_of_scripts(texts: Sequence[str]) -> Histogram:
    """Count a reference sample of texts by script, for values that `script_of` gives."""
    counts = [0] * (_OTHER + 1)
    for text in texts:
        counts[script_of(text)] += 1
    edges = tuple(float(place) for place in range(_OTHER))
    return Histogram(name="script", edges=edges, counts=tuple(counts))


def script_of(text: str) -> int:
    """Give the number of the script that most letters of a text are of; another if none.

    Latin letters with marks make a class of their own where they are 2% of the Latin ones, so that
    English and most other languages in Latin script are told apart; it is no detection of language.
    """
    counts = [0] * (_OTHER + 1)
    for letter in filter(str.isalpha, text):
        code = ord(letter)
        place = next(
            (i for i, (_, low, high) in enumerate(_SCRIPTS) if low <= code <= high), _OTHER
        )
        counts[place] += 1
    latin = counts[0] + counts[1]
    if counts[1] > _MARKED_SHARE * latin:
        counts[0], counts[1] = 0, latin
    else:
        counts[0], counts[1] = latin, 0
    return counts.index(max(counts)) if any(counts) else _OTHER


def projections(
    embedding: Sequence[float], directions: Sequence[Sequence[float]]
) -> dict[str, float]:
    """Give an embedding's coordinates along fixed directions, to be watched as numbers."""
    return {
        f"embedding {place}": math.fsum(a * b for a, b in zip(embedding, one, strict=True))
        for place, one in enumerate(directions)
    }
