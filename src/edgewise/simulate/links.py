"""How long a call is on its way, at a moment of a replay by events."""

import numpy as np

from edgewise.records import TierPolicy
from edgewise.simulate.network import Network
from edgewise.simulate.scenario import is_remote


class Links:
    """The ways to the tiers. Made by `Events`; a tier on the device has none."""

    def __init__(self, network: Network | None, bytes_per_token: float) -> None:
        self._network = network
        self._bytes_per_token = bytes_per_token
        self._rates = network if network is not None and network.has_rates else None
        self._rtts = network if network is not None and network.has_rtt else None

    def is_measured(self, tier: TierPolicy) -> bool:
        """Say whether a tier's round trips were measured."""
        return self._rtts is not None and is_remote(tier)

    def up_s(self, tier: TierPolicy, input_bytes: int, now_s: float) -> float:
        """Give how long the input's bytes take."""
        if self._rates is None or not is_remote(tier):
            return 0.0
        return float(self._rates.up_s(np.array([now_s]), np.array([float(input_bytes)]))[0])

    def back_s(self, tier: TierPolicy, drawn: float, output_tokens: float, now_s: float) -> float:
        """Give how long an answer is on its way: a round trip, and its bytes."""
        back_s = self.rtt_s(tier, drawn, now_s)
        if self._rates is None or not is_remote(tier):
            return back_s
        sent = np.array([output_tokens * self._bytes_per_token])
        return back_s + float(self._rates.down_s(np.array([now_s]), sent)[0])

    def rtt_s(self, tier: TierPolicy, drawn: float, now_s: float) -> float:
        """Give a round trip as it is now; what was drawn is its place where it was measured."""
        if self._rtts is None or not is_remote(tier):
            return drawn
        return float(self._rtts.rtt_s(np.array([now_s]), np.array([drawn]))[0])
