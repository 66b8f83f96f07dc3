"""What the gateway counts, and where decisions go: the log, the metrics, whoever else looks."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from edgewise.gateway.events import Events
from edgewise.observe import DecisionLog
from edgewise.observe.metrics import Counter, Histogram, Metrics, OfAll
from edgewise.records import SCHEMA_VERSION, Decision, decode, encode

_LATEST = 200
_TOLD = 25
_DIFFERS, _DISTANCE = "edgewise_input_drift", "edgewise_input_drift_distance"
_OPENING = f'{{"schema_version":{SCHEMA_VERSION},'


class Counting:
    """The gateway's metrics. Made by it, counted from its event loop."""

    def __init__(self) -> None:
        self.metrics = made = Metrics()
        self._requests = made.counter(
            "edgewise_requests_total", "Requests answered", "route", "status"
        )
        self._seconds = made.histogram(
            "edgewise_request_seconds", "From a whole request to its answer", "route"
        )
        self._locations = made.counter(
            "edgewise_decisions_total", "Decisions, by where the answer came from", "location"
        )
        self._reasons = made.counter(
            "edgewise_reasons_total", "Reason codes of decisions", "reason"
        )
        self._attempts = made.counter(
            "edgewise_attempts_total", "Calls of tiers, by how they ended", "tier", "outcome"
        )
        self._tiers = made.histogram(
            "edgewise_attempt_seconds", "How long calls of tiers took", "tier"
        )
        self._cost = made.counter(
            "edgewise_cost_usd_total", "Money that calls for requests cost", "tier"
        )
        self._differs = made.gauge(
            _DIFFERS, "1 while inputs differ from the calibration split's", "what", of_all=max
        )
        self._distances = made.gauge(
            _DISTANCE, "Population stability index of the last window", "what", of_all=max
        )
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._by_reason: dict[str, Counter] = {}

    def gauge(self, name: str, told: str, read: Callable[[], float], of_all: OfAll = sum) -> None:
        """Count something that is read when it is asked for.

        Parameters
        ----------
        of_all
            Makes one number of those of all processes on the port.
        """
        child = self.metrics.gauge(name, told, of_all=of_all).of()
        child.read = read  # type: ignore[union-attr]

    def answered(self, route: str, status: int, seconds: float, request_id: str = "") -> None:
        """Count an answer."""
        known = self._known.get((route, status))
        if known is None:
            one, other = self._requests.of(route, str(status)), self._seconds.of(route)
            assert isinstance(one, Counter)
            assert isinstance(other, Histogram)
            known = self._known[(route, status)] = (one, other)
        known[0].value += 1.0
        known[1].see(seconds, request_id)

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        self._locations.of(decision.location or "none").add()  # type: ignore[union-attr]
        for reason in decision.reasons:
            code = reason._value_
            if code not in self._by_reason:
                self._by_reason[code] = self._reasons.of(code)  # type: ignore[assignment]
            self._by_reason[code].value += 1.0
        for attempt in decision.attempts:
            outcome = attempt.outcome._value_
            self._attempts.of(attempt.tier, outcome).add()  # type: ignore[union-attr]
            self._tiers.of(attempt.tier).see(  # type: ignore[union-attr]
                attempt.latency_ms / 1000, decision.request_id
            )
            if attempt.cost_usd:
                self._cost.of(attempt.tier).add(attempt.cost_usd)  # type: ignore[union-attr]

    def compared(self, what: str, distance: float, *, differs: bool) -> None:
        """Note a window of inputs that was compared with the calibration split's."""
        self._differs.of(what).value = float(differs)  # type: ignore[union-attr]
        self._distances.of(what).value = distance  # type: ignore[union-attr]

    def inputs(self, others: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, bool]]:
        """Give for each thing compared the last window's distance, and whether it differs.

        Of several processes it is the farthest, and it differs where it does in any of them.

        Parameters
        ----------
        others
            The metrics' states of the other processes.
        """
        found: dict[str, tuple[float, bool]] = {}
        for state in (*others, self.metrics.state()):
            differs = {what: bool(value) for (what,), value in state.get(_DIFFERS, ())}
            for (what,), distance in state.get(_DISTANCE, ()):
                before = found.get(what, (distance, False))
                found[what] = max(before[0], distance), before[1] or differs.get(what, False)
        return found


def decision_json(one: Decision) -> str:
    """Give a decision's JSON as `records.encode` does, in a tenth of the time.

    Raises
    ------
    InvalidRecord
        When a number is not finite: JSON has no word for it.
    """
    finite = math.isfinite(one.latency_ms) and math.isfinite(one.cost_usd)
    if not finite or (one.confidence is not None and not math.isfinite(one.confidence)):
        encode(one)  # says which
    return _OPENING + msgspec.json.encode(one)[1:].decode()


class Decisions:
    """The engine's sink: counts each decision, and writes it down. Made by the gateway."""

    def __init__(
        self, counting: Counting, log: DecisionLog | None, events: Events | None = None
    ) -> None:
        self.counting = counting
        self.events = Events() if events is None else events
        self._log = log
        self.latest: deque[Decision] = deque(maxlen=_LATEST)
        self.watchers: list[Callable[[Decision], None]] = [self.events.see]

    def append(self, decision: Decision) -> None:
        """Keep one decision.

        Raises
        ------
        StorageError
            When the log does not take it: then the request is not answered either.
        """
        self.counting.decided(decision)
        self.latest.append(decision)
        for watch in self.watchers:
            watch(decision)
        if self._log is not None:
            self._log.append(decision)

    def state(self) -> list[str]:
        """Give the latest decisions as JSON, for the other processes on the port."""
        return [decision_json(one) for one in list(self.latest)[-_TOLD:]]

    def take(self, state: Iterable[str]) -> None:
        """Take over the latest decisions of another process."""
        self.latest = _in_order([*_decoded(state), *self.latest])

    def latest_with(self, states: Iterable[Iterable[str]]) -> deque[Decision]:
        """Give the latest decisions of this process and of others in their order."""
        return _in_order([*self.latest, *(one for state in states for one in _decoded(state))])


def _decoded(state: Iterable[str]) -> Iterable[Decision]:
    return (decode(Decision, msgspec.json.decode(one)) for one in state)


def _in_order(found: list[Decision]) -> deque[Decision]:
    return deque(sorted(found, key=lambda one: one.at_s), maxlen=_LATEST)
