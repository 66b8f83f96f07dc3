"""Lets in what can be answered in time; the rest is refused at once. Pure: lag is handed in."""

from typing import Any

from edgewise.gateway.settings import AdmissionRules

_LEAST = 16
_SHRINK = 0.7
_GROW = 8


class Admission:
    """Counts requests under way against a limit that follows the event loop's lag.

    Additive increase, multiplicative decrease: while the loop is later than it may be, the limit
    shrinks to a share of what is under way; else it grows back.
    """

    __slots__ = ("_lag_s", "_most", "in_flight", "limit", "refused")

    def __init__(self, rules: AdmissionRules) -> None:
        self._most = rules.most_in_flight
        self._lag_s = rules.lag_ms / 1000
        self.limit = self._most
        self.in_flight = 0
        self.refused = 0

    def enter(self) -> bool:
        """Count a request in, or say no."""
        if self.in_flight >= self.limit:
            self.refused += 1
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        """Count it out."""
        self.in_flight -= 1

    def state(self) -> Any:
        """Give how many are under way, and how many were refused."""
        return [self.in_flight, self.refused]

    def take(self, state: Any) -> None:
        """Add what another process refused; what was under way there is not here."""
        self.refused += state[1]

    def lagged(self, lag_s: float) -> None:
        """Note how late the event loop was."""
        if lag_s > self._lag_s:
            shrunk = int(min(self.limit, self.in_flight) * _SHRINK)
            self.limit = min(self._most, max(_LEAST, shrunk))
        else:
            self.limit = min(self._most, self.limit + _GROW)
