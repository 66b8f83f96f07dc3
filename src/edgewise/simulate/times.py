"""How long a tier works on a request, and how long its answer is on the way."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgewise.records import Profile, TierPolicy

Floats = NDArray[np.float64]
_Z95 = 1.6448536269514722


class TierTimes:
    """Times of one tier, in seconds. Made by a simulation.

    Service comes from the spec's formula, else from a profile, else from the policy's latencies,
    else it is nothing. Latencies of a length are lognormal with the measured p50 and p95, and so
    is the round trip.
    """

    def __init__(self, tier: TierPolicy, profile: Profile | None) -> None:
        self.formula = tier.service
        limits: Sequence[tuple[int, float, float]] = ()
        if self.formula is None and profile is not None:
            limits = [(one.up_to_length, one.p50_ms, one.p95_ms) for one in profile.buckets]
            limits = limits or [(1, profile.p50_ms, profile.p95_ms)]
        elif self.formula is None:
            limits = [(one.up_to_length, one.p50_ms, one.p95_ms) for one in tier.latency]
        self._up_to = np.array([length for length, _, _ in limits[:-1]], dtype=np.float64)
        shapes = [_lognormal(p50_ms, p95_ms) for _, p50_ms, p95_ms in limits]
        self._p50_s = np.array([p50_s for p50_s, _ in shapes])
        self._sigma = np.array([sigma for _, sigma in shapes])
        self._rtt_p50_s, self._rtt_sigma = _lognormal(tier.rtt_p50_ms, tier.rtt_p95_ms)
        self.service_varies = bool((self._sigma > 0.0).any())
        self.rtt_varies = self._rtt_sigma > 0.0
        self.known = self.formula is not None or bool(limits)

    def service_s(self, input_tokens: Floats, output_tokens: Floats, normal: Floats) -> Floats:
        """Give how long a server works on each request."""
        one = self.formula
        if one is not None:
            total_ms = one.per_input_token_ms * input_tokens
            total_ms += one.per_output_token_ms * output_tokens
            total_ms += one.base_ms
            return total_ms / 1000.0
        if not len(self._p50_s):
            return np.zeros(len(input_tokens))
        place = np.searchsorted(self._up_to, input_tokens)
        if not self.service_varies:
            return self._p50_s[place]
        return self._p50_s[place] * np.exp(self._sigma[place] * normal)

    def rtt_s(self, normal: Floats) -> Floats:
        """Give the round trip of each request."""
        if not self.rtt_varies:
            return np.full(len(normal), self._rtt_p50_s)
        return self._rtt_p50_s * np.exp(self._rtt_sigma * normal)


def _lognormal(p50_ms: float, p95_ms: float) -> tuple[float, float]:
    """Give the median in seconds and the sigma of its logarithm."""
    if p50_ms <= 0.0:
        return 0.0, 0.0
    return p50_ms / 1000.0, max(0.0, math.log(max(p95_ms, p50_ms) / p50_ms) / _Z95)
