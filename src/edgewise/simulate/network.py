"""A network that was measured: round trips and bandwidth over time, from a CSV file."""

import csv
import math
from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData

Floats = NDArray[np.float64]
_RATES = {"up_mbps": 1e6, "ul_kbps": 1e3}, {"down_mbps": 1e6, "dl_kbps": 1e3}
_HINT = "columns: rtt_ms, up_mbps, down_mbps, and t_s where they change over time"


class Network:
    """Round trips and rates of a link. Made by `read_network`.

    With times, values hold until the next one, and the network starts anew when it ends. Its first
    moment is 0, until it is laid under a trace. Round trips without times are drawn at random. Each
    request has the link for itself.
    """

    def __init__(
        self,
        *,
        at_s: Floats | None,
        rtt_ms: Floats | None,
        up_bits: Floats | None = None,
        down_bits: Floats | None = None,
    ) -> None:
        self._at_s = at_s
        self._rtt_s = None if rtt_ms is None else rtt_ms / 1000.0
        self._period_s = self._begins_s = 0.0
        if at_s is not None:
            last_s = float(np.median(np.diff(at_s))) if len(at_s) > 1 else 1.0
            self._period_s = float(at_s[-1] - at_s[0]) + max(last_s, 1e-6)
        self._up = None if up_bits is None else self._carried(up_bits)
        self._down = None if down_bits is None else self._carried(down_bits)

    def laid(self, first_s: float) -> "Network":
        """Give the network under a trace by the moment of its first request.

        One that begins at the network's first moment or after is on its clock, such as seconds
        since 1970; to one that begins before, the network's first moment is 0.
        """
        if self._at_s is None or first_s < self._at_s[0]:
            return self
        under = copy(self)
        under._begins_s = float(self._at_s[0])
        return under

    @property
    def has_rtt(self) -> bool:
        """Say whether round trips are known."""
        return self._rtt_s is not None

    @property
    def has_rates(self) -> bool:
        """Say whether sending takes time."""
        return self._up is not None or self._down is not None

    def rtt_s(self, at_s: Floats, uniform: Floats) -> Floats:
        """Give the round trips at these moments."""
        assert self._rtt_s is not None
        if self._at_s is None:
            place = (uniform * len(self._rtt_s)).astype(np.int64)
        else:
            now_s = np.mod(self._since_s(at_s), self._period_s) + self._at_s[0]
            place = np.searchsorted(self._at_s, now_s, side="right") - 1
        found: Floats = self._rtt_s[place]
        return found

    def up_s(self, at_s: Floats, sent_bytes: Floats) -> Floats:
        """Give how long sending takes from these moments on."""
        return _sending_s(self._up, self._period_s, self._since_s(at_s), sent_bytes)

    def down_s(self, at_s: Floats, sent_bytes: Floats) -> Floats:
        """Give how long the answer's bytes take from these moments on."""
        return _sending_s(self._down, self._period_s, self._since_s(at_s), sent_bytes)

    def _since_s(self, at_s: Floats) -> Floats:
        """Give how long after the trace began these moments are."""
        return at_s - self._begins_s

    def _carried(self, bits: Floats) -> tuple[Floats, Floats]:
        """Give moments within a period, and the bytes that the link has carried until then."""
        assert self._at_s is not None
        moments = np.append(self._at_s - self._at_s[0], self._period_s)
        return moments, np.concatenate([[0.0], np.cumsum(bits / 8.0 * np.diff(moments))])


def read_network(path: Path) -> Network:
    """Read a network trace.

    Raises
    ------
    InvalidData
        With the line, where a number can't be, or nothing known is in it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            names = set(reader.fieldnames)
            wanted = [one for one in ("t_s", "rtt_ms", *_RATES[0], *_RATES[1]) if one in names]
            if not set(wanted) - {"t_s"}:
                what = "neither round trips nor rates are in it"
                raise InvalidData(what, where=f"{path}:1", hint=_HINT)
            found: dict[str, list[float]] = {name: [] for name in wanted}
            lines: list[int] = []
            for row in reader:
                lines.append(reader.line_num)
                for name in wanted:
                    found[name].append(_number(row[name], name, f"{path}:{reader.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        raise InvalidData(f"can't be read: {failure}", where=str(path), hint=_HINT) from failure
    columns = {name: np.array(values) for name, values in found.items()}
    at_s = columns.get("t_s")
    up_bits, down_bits = (
        next((columns[name] * scale for name, scale in way.items() if name in columns), None)
        for way in _RATES
    )
    _check(path, columns, at_s, (up_bits, down_bits), lines)
    return Network(at_s=at_s, rtt_ms=columns.get("rtt_ms"), up_bits=up_bits, down_bits=down_bits)


def _check(
    path: Path,
    columns: dict[str, Floats],
    at_s: Floats | None,
    rates: tuple[Floats | None, Floats | None],
    lines: list[int],
) -> None:
    if not len(next(iter(columns.values()))):
        raise InvalidData("the network trace is empty", where=str(path), hint=_HINT)
    known = [one for one in rates if one is not None]
    if known and at_s is None:
        raise InvalidData("rates without `t_s`", where=f"{path}:1", hint=_HINT)
    if at_s is not None and not (np.diff(at_s) > 0.0).all():
        line = lines[int(np.argmin(np.diff(at_s) > 0.0)) + 1]
        what, hint = "`t_s` does not rise", "sort the rows by t_s, each moment once"
        raise InvalidData(what, where=f"{path}:{line}", hint=hint)
    if any(not one.any() for one in known):
        what, hint = "a rate is 0 all the time", "nothing could ever be sent: leave the column out"
        raise InvalidData(what, where=str(path), hint=hint)


def _number(text: str | None, name: str, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        what = f"`{name}` is no number from 0 on: `{text or ''}`"
        raise InvalidData(what, where=where, hint="mend it or leave the row out")
    return value


def _sending_s(
    carried: tuple[Floats, Floats] | None, period_s: float, at_s: Floats, sent_bytes: Floats
) -> Floats:
    if carried is None:
        return np.zeros(len(at_s))
    moments, totals = carried
    whole = totals[-1]
    begins_s = np.mod(at_s, period_s)
    until = np.interp(begins_s, moments, totals) + sent_bytes
    periods = np.ceil(until / whole) - 1.0  # so that there is a rest, of a whole period at most
    rest = np.clip(until - periods * whole, np.finfo(np.float64).tiny, whole)
    # Where the link stood still, the last of equal totals is when it goes on: not needed, since
    # the bytes are through at the first of them.
    place = np.clip(np.searchsorted(totals, rest, side="left"), 1, len(totals) - 1)
    rate = (totals[place] - totals[place - 1]) / (moments[place] - moments[place - 1])
    within = moments[place - 1] + (rest - totals[place - 1]) / rate
    none_sent = sent_bytes <= 0.0
    return np.where(none_sent, 0.0, periods * period_s + within - begins_s)
