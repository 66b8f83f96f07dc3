"""Arrivals and service times fitted from what was seen, with how well each family fits.

Arrivals: Poisson; a daily cycle (a rate for each hour); a Markov-modulated Poisson process of two
states, by expectation and maximization over counts (L. Rabiner, A tutorial on hidden Markov models,
1989, with Poisson emissions). Times: constant, exponential, lognormal, gamma, by maximum likelihood
(gamma: T. Minka, Estimating a gamma distribution, 2002). Families are ordered by AIC; two distances
(`goodness.py`) and the squared coefficient of variation say whether the best is any good. A daily
cycle is held against the arrivals on a clock that runs as its rate does: there they are Poisson
(E. Brown et al., The time-rescaling theorem, 2002).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData
from edgewise.simulate.gamma import digamma, gamma_cdf, trigamma
from edgewise.simulate.goodness import distances, exponential_5, gamma_5, normal_5

Floats = NDArray[np.float64]
_HOUR_S, _DAY_S = 3600.0, 86_400.0
_BINS = 2000
_ROUNDS = 60
_ENOUGH = 20
_CONSTANT = 1e-6
"""A spread of times of up to this, over their mean, is none: less can't be told from rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One family, fitted."""

    name: str
    parameters: Mapping[str, float]
    aic: float | None
    """Akaike's criterion: lower is better, among fits of the same numbers. `None` for a constant,
    which leaves nothing to chance."""
    ks: float | None = None
    """Kolmogorov and Smirnov's distance, 0 to 1."""
    ad: float | None = None
    """Anderson and Darling's A²: as `ks`, with the tails counted as much as the middle."""
    ad_5: float | None = None
    """What A² exceeds in 5 % of samples that are from the family; `None` where no table says."""
    cv2: float | None = None
    """Squared coefficient of variation that the family has, to hold against the data's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """What was seen, and the families from the best on."""

    n: int
    mean: float
    cv2: float
    autocorrelation: float
    """Of neighbours: independent numbers have about 0, give or take 2 / sqrt(n)."""
    fits: tuple[Fit, ...]


def fit_arrivals(at_s: Floats) -> Fits:
    """Fit the times of requests, in order.

    Raises
    ------
    InvalidData
        When there are too few, or they all come at once.
    """
    gaps = np.diff(at_s)
    _check(gaps, "arrivals")
    span_s = float(at_s[-1] - at_s[0])
    edges = np.linspace(at_s[0], at_s[-1], min(_BINS, max(10, len(gaps) // 2)) + 1)
    counts = np.histogram(at_s, edges)[0].astype(np.float64)
    width_s = span_s / len(counts)
    base = float(np.sum([math.lgamma(count + 1) for count in counts]))
    fits = [_poisson(gaps, counts, base)]
    if span_s >= 2 * _DAY_S:
        fits.append(_cycle(at_s, counts, edges, base))
    fits.append(_mmpp(gaps, counts, width_s, base))
    return _fits(gaps, fits)


def fit_times(values: Floats) -> Fits:
    """Fit times of service, each above 0.

    Raises
    ------
    InvalidData
        When there are too few, or one is not above 0.
    """
    _check(values, "times")
    if not (values > 0.0).all():
        what, hint = "a time is not above 0", "leave out what was not measured"
        raise InvalidData(what, where="times", hint=hint)
    mean = float(values.mean())
    if float(values.std()) <= _CONSTANT * mean:
        constant = Fit(
            name="constant", parameters={"value": mean}, aic=None, ks=0.0, ad=0.0, cv2=0.0
        )
        return _fits(values, [constant])
    return _fits(values, [_exponential(values), _lognormal(values), _gamma(values)])


def _check(values: Floats, where: str) -> None:
    if len(values) < _ENOUGH or not np.isfinite(values).all() or values.sum() <= 0.0:
        what = f"too few to fit: {len(values)} numbers"
        raise InvalidData(what, where=where, hint=f"give {_ENOUGH} or more, not all of one moment")


def _fits(values: Floats, fits: list[Fit]) -> Fits:
    mean, spread = float(values.mean()), float(values.var())
    centred = values - mean
    auto = float((centred[1:] * centred[:-1]).mean()) / spread if spread > 0.0 else 0.0
    return Fits(
        n=len(values),
        mean=mean,
        cv2=spread / mean**2,
        autocorrelation=auto,
        fits=tuple(sorted(fits, key=lambda one: -math.inf if one.aic is None else one.aic)),
    )


def _exponential(values: Floats) -> Fit:
    mean = float(values.mean())
    likely = -len(values) * (math.log(mean) + 1.0)
    ks, ad = distances(values, lambda x: -np.expm1(-x / mean))
    return Fit(
        name="exponential",
        parameters={"mean": mean},
        aic=2 - 2 * likely,
        ks=ks,
        ad=ad,
        ad_5=exponential_5(len(values)),
        cv2=1.0,
    )


def _lognormal(values: Floats) -> Fit:
    logs = np.log(values)
    mu, sigma = float(logs.mean()), float(logs.std())
    n = len(values)
    likely = -float(logs.sum()) - n * (math.log(sigma) + 0.5 * math.log(2 * math.pi) + 0.5)
    erf = np.vectorize(math.erf, otypes=[np.float64])
    ks, ad = distances(
        values, lambda x: 0.5 * (1.0 + erf((np.log(x) - mu) / (sigma * math.sqrt(2.0))))
    )
    return Fit(
        name="lognormal",
        parameters={"median": math.exp(mu), "sigma": sigma},
        aic=4 - 2 * likely,
        ks=ks,
        ad=ad,
        ad_5=normal_5(n),
        cv2=math.expm1(min(sigma**2, 700.0)),
    )


def _gamma(values: Floats) -> Fit:
    mean, mean_log = float(values.mean()), float(np.log(values).mean())
    gap = math.log(mean) - mean_log
    shape = (3.0 - gap + math.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(10):
        slope = 1.0 / shape - trigamma(shape)
        step = (math.log(shape) - digamma(shape) - gap) / slope
        shape = max(shape / 10.0, shape - step)
    scale = mean / shape
    each = (shape - 1.0) * mean_log - mean / scale - shape * math.log(scale) - math.lgamma(shape)
    ks, ad = distances(values, lambda x: gamma_cdf(shape, x / scale))
    return Fit(
        name="gamma",
        parameters={"shape": shape, "scale": scale},
        aic=4 - 2 * len(values) * each,
        ks=ks,
        ad=ad,
        ad_5=gamma_5(shape),
        cv2=1.0 / shape,
    )


def _poisson(gaps: Floats, counts: Floats, base: float) -> Fit:
    rate, mean = float(counts.mean()), float(gaps.mean())
    likely = float(counts.sum()) * math.log(rate) - rate * len(counts) - base
    ks, ad = distances(gaps, lambda x: -np.expm1(-x / mean))
    return Fit(
        name="poisson",
        parameters={"per_s": 1.0 / mean},
        aic=2 - 2 * likely,
        ks=ks,
        ad=ad,
        ad_5=exponential_5(len(gaps)),
        cv2=1.0,
    )


def _cycle(at_s: Floats, counts: Floats, edges: Floats, base: float) -> Fit:
    """Fit a rate for each hour of the day, counted from the trace's first second."""
    hours = (((edges[:-1] - edges[0]) % _DAY_S) // _HOUR_S).astype(np.int64)
    bins = np.bincount(hours, minlength=24)
    mean = np.bincount(hours, weights=counts, minlength=24) / np.maximum(bins, 1)
    expected = np.maximum(mean, 1e-12)[hours]
    likely = float((counts * np.log(expected) - expected).sum()) - base
    width_s = float(edges[1] - edges[0])
    passed = np.interp(at_s, edges, np.concatenate([[0.0], np.cumsum(expected)]))
    ks, ad = distances(np.diff(passed), lambda x: -np.expm1(-x))
    return Fit(
        name="daily cycle",
        parameters={f"per_s_{hour:02d}h": float(rate) / width_s for hour, rate in enumerate(mean)},
        aic=48 - 2 * likely,
        ks=ks,
        ad=ad,
    )


def _mmpp(gaps: Floats, counts: Floats, width_s: float, base: float) -> Fit:
    """Fit two states with a rate each, by expectation and maximization."""
    middle = float(counts.mean())
    rates = np.array([max(middle / 4, 1e-6), middle * 2 + 1e-6])
    stay = np.array([[0.95, 0.05], [0.05, 0.95]])
    first = np.array([0.5, 0.5])
    likely = -math.inf
    for _ in range(_ROUNDS):
        emits = np.exp(counts[:, None] * np.log(rates) - rates - _scale(counts, rates))
        before = likely
        likely, state, moves = _smoothed(emits, stay, first)
        likely += float(_scale(counts, rates).sum())
        weight = state.sum(axis=0)
        rates = np.maximum((state * counts[:, None]).sum(axis=0) / weight, 1e-9)
        stay = moves / moves.sum(axis=1, keepdims=True)
        first = state[0]
        if likely - before < 1e-6 * abs(likely):
            break
    low, high = int(np.argmin(rates)), int(np.argmax(rates))
    leave_s = [-math.log(min(max(stay[k, k], 1e-9), 1 - 1e-12)) / width_s for k in (low, high)]
    calm, busy = float(rates[low]) / width_s, float(rates[high]) / width_s
    ks, ad = distances(gaps, lambda x: _mmpp_below(x, (calm, busy), leave_s))
    return Fit(
        name="mmpp2",
        parameters={
            "per_s_calm": calm,
            "per_s_busy": busy,
            "leaves_calm_per_s": leave_s[0],
            "leaves_busy_per_s": leave_s[1],
        },
        aic=8 - 2 * (likely - base),
        ks=ks,
        ad=ad,
        cv2=_mmpp_cv2(calm, busy, leave_s[0], leave_s[1]),
    )


def _scale(counts: Floats, rates: Floats) -> Floats:
    """Give the logarithm of the larger of both emissions, so that none underflows."""
    scale: Floats = (counts[:, None] * np.log(rates) - rates).max(axis=1, keepdims=True)
    return scale


def _smoothed(emits: Floats, stay: Floats, first: Floats) -> tuple[float, Floats, Floats]:
    """Give the log-likelihood, each state's probability by time, and the expected moves."""
    (a, b), (c, d) = stay.tolist()
    rows = emits.tolist()
    forward: list[tuple[float, float]] = []
    p, q = first.tolist()
    likely = 0.0
    for place, (x, y) in enumerate(rows):
        if place:
            p, q = p * a + q * c, p * b + q * d
        p, q = p * x, q * y
        total = p + q
        likely += math.log(total)
        p, q = p / total, q / total
        forward.append((p, q))
    backward = [(1.0, 1.0)] * len(rows)
    u = v = 1.0
    for place in range(len(rows) - 1, 0, -1):
        x, y = rows[place]
        u, v = a * x * u + b * y * v, c * x * u + d * y * v
        total = u + v
        u, v = u / total, v / total
        backward[place - 1] = (u, v)
    ahead, behind = np.array(forward), np.array(backward)
    state = ahead * behind
    state /= state.sum(axis=1, keepdims=True)
    moves = ahead[:-1, :, None] * stay[None] * (emits[1:] * behind[1:])[:, None, :]
    moves /= moves.sum(axis=(1, 2), keepdims=True)
    return likely, state, moves.sum(axis=0)


def _mmpp_cv2(calm: float, busy: float, up: float, down: float) -> float:
    """Give the squared coefficient of variation of the gaps (Fischer and Meier-Hellstern, 1993)."""
    above = 2.0 * up * down * (calm - busy) ** 2
    below = (up + down) ** 2 * (calm * busy + calm * down + busy * up)
    return 1.0 + above / below if below > 0.0 else 1.0


def _mmpp_below(x: Floats, rates: Sequence[float], leaves: Sequence[float]) -> Floats:
    """Give the distribution function of the gaps: a mixture of two exponentials.

    Their rates are the eigenvalues of D0 = diag(rates) - Q; the mixture has the density at 0 that
    the states have just after an arrival.
    """
    (calm, busy), (up, down) = rates, leaves
    middle = 0.5 * (calm + up + busy + down)
    apart = math.sqrt(max(0.0, middle**2 - (calm * busy + calm * down + busy * up)))
    if apart <= 1e-12 * middle:
        return -np.expm1(-middle * x)
    fast, slow = middle + apart, middle - apart
    # A state is seen at an arrival by its share of time and by its rate.
    by_calm, by_busy = down * calm, up * busy
    start = (by_calm * calm + by_busy * busy) / (by_calm + by_busy)
    share = (start - slow) / (fast - slow)
    below: Floats = -share * np.expm1(-fast * x) - (1.0 - share) * np.expm1(-slow * x)
    return below
