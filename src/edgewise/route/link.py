"""What traffic tells of a link: round trip, bandwidth and loss. Passive; time is handed in.

An answer takes a round trip and the time that the input's bytes need: latency = a + b x bytes. The
slope b is a least-squares fit over the latest calls, taken where it stands out from the noise by
two standard errors and the inputs differ by more than a packet: inputs of one packet say nothing of
bandwidth, and much of how the link was when each was sent. The round trip's quantiles are those of
what is left. Loss is the share of calls that broke or did not come back, the newest counting most.

The fit is made anew for each call of quiet traffic; under dense traffic a call would change little
of it and pay for all of it, so that a fit then stands for a twentieth of a second.
"""

import math
from collections import deque

_CALLS_KEPT = 64
_CALLS_ENOUGH = 5
_FORGET_AFTER_S = 60.0
_PATIENCE_S = 1.0
_PACKET_BYTES = 1_460
_FIT_STANDS_S = 0.05
_NEWEST = 0.1
_ERRORS = 2.0


class LinkEstimate:
    """One tier's link, as its latest calls saw it; the policy's own until enough were seen.

    What was seen is forgotten after a minute of silence: a tier that is avoided because it was
    slow would otherwise never be asked again. Long before that it is in doubt: a second of silence
    after the latest call one request may try, then another after two seconds, four, and so on.
    """

    __slots__ = (
        "_calls",
        "_fitted_at_s",
        "_patience_s",
        "_seen_at_s",
        "_start",
        "loss_share",
        "ms_per_byte",
        "p50_ms",
        "p95_ms",
    )

    def __init__(self, p50_ms: float, p95_ms: float) -> None:
        self._start = (p50_ms, p95_ms)
        self._calls: deque[tuple[int, float]] = deque(maxlen=_CALLS_KEPT)
        self._seen_at_s = 0.0
        self._patience_s = _PATIENCE_S
        self._fitted_at_s = 0.0
        self.p50_ms, self.p95_ms = p50_ms, p95_ms
        self.ms_per_byte = 0.0
        self.loss_share = 0.0

    def forget(self, now_s: float) -> None:
        """Go back to the policy's figures after a silence."""
        if now_s - self._seen_at_s > _FORGET_AFTER_S and (self._calls or self.loss_share):
            self.start_over()
            self.loss_share = 0.0

    def start_over(self) -> None:
        """Go back to the policy's figures: what was seen is of a link that is gone."""
        self._calls.clear()
        self.p50_ms, self.p95_ms = self._start
        self.ms_per_byte = 0.0
        self._patience_s = _PATIENCE_S

    def is_doubtful(self, now_s: float) -> bool:
        """Say whether it looks worse than the policy says, and was not heard of for a while."""
        worse = self.p50_ms > self._start[0] or self.ms_per_byte > 0.0
        return worse and now_s - self._seen_at_s >= self._patience_s

    @property
    def start(self) -> tuple[float, float]:
        """Give the policy's p50 and p95, in milliseconds."""
        return self._start

    def try_again(self, now_s: float) -> None:
        """Note that a request tries a link in doubt; the next one waits twice as long."""
        self._seen_at_s = now_s
        self._patience_s = min(2.0 * self._patience_s, _FORGET_AFTER_S)

    def add(
        self, latency_ms: float, now_s: float, *, sent_bytes: int = 0, censored: bool = False
    ) -> None:
        """Note a latency; a censored one (nobody waited longer) is known only to be longer."""
        self._seen_at_s = now_s
        if censored and latency_ms <= self.p50_ms + self.ms_per_byte * sent_bytes:
            return
        self._calls.append((sent_bytes, latency_ms))
        n = len(self._calls)
        if n < _CALLS_ENOUGH:
            return
        if n == _CALLS_KEPT and 0.0 <= now_s - self._fitted_at_s < _FIT_STANDS_S:
            return
        self._fitted_at_s = now_s
        self._fit()

    def arrived(self, *, whole: bool) -> None:
        """Note whether a call came back whole."""
        self.loss_share += _NEWEST * ((0.0 if whole else 1.0) - self.loss_share)

    def _fit(self) -> None:
        calls = self._calls
        n = len(calls)
        slope = _slope(calls)
        rest = sorted(max(0.0, latency_ms - slope * sent) for sent, latency_ms in calls)
        self.ms_per_byte = slope
        self.p50_ms = rest[n // 2]
        self.p95_ms = rest[min(n - 1, int(0.95 * n))]


def _slope(calls: deque[tuple[int, float]]) -> float:
    """Give the milliseconds that a byte adds; 0 where that can't be told from noise."""
    n = len(calls)
    x_mean = sum(x for x, _ in calls) / n
    y_mean = sum(y for _, y in calls) / n
    sizes = [x for x, _ in calls]
    if max(sizes) - min(sizes) < _PACKET_BYTES:
        return 0.0
    xx = sum((x - x_mean) ** 2 for x in sizes)
    xy = sum((x - x_mean) * (y - y_mean) for x, y in calls)
    yy = sum((y - y_mean) ** 2 for _, y in calls)
    slope = xy / xx
    noise = max(0.0, yy - slope * xy) / max(1, n - 2)
    return slope if slope > _ERRORS * math.sqrt(noise / xx) else 0.0
