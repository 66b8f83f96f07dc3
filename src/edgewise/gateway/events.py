"""What becomes of the gateway itself, a line each: JSON for machines, words at a terminal.

No payload and no secret can get in: a request's failure is told by its class and the lines of code
that it passed, never by its text.
"""

import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TextIO

import msgspec

from edgewise.errors import EdgewiseError, InvalidData
from edgewise.records import Decision, Outcome
from edgewise.route.clock import Clock, SystemClock

EVERY_S = 10.0
"""A kind of failure of a tier is told at once, and then at most this often, with its number."""
_MOST_LINES = 8
_MOST_CAUSES = 4
_FAILURES = (Outcome.FAILED, Outcome.TIMED_OUT)

Field = str | int | float | list[str] | None


class Events:
    """Tells what happens. Made by `serve`; a worker that is forked writes to the same stream.

    Parameters
    ----------
    form
        `json`, `plain`, or `auto`: plain where the stream is a terminal.
    """

    def __init__(
        self, out: TextIO | None = None, *, form: str = "auto", clock: Clock | None = None
    ) -> None:
        self._out = sys.stderr if out is None else out
        self._clock = SystemClock() if clock is None else clock
        self.as_json = not self._out.isatty() if form == "auto" else form == "json"
        self._failures: Counter[tuple[str, str, str]] = Counter()
        self._told_s: dict[tuple[str, str, str], float] = {}

    def say(self, event: str, words: str = "", *, level: str = "info", **fields: Field) -> None:
        """Tell of one event.

        Parameters
        ----------
        words
            The plain form; without them only the JSON form is written.
        level
            `info`, `warning` or `error`.
        """
        if not self.as_json:
            self._write(f"{words}\n" if words else "")
            return
        at = datetime.fromtimestamp(self._clock.utc_s(), UTC).isoformat(timespec="milliseconds")
        told = {"at": at, "level": level, "event": event, "pid": os.getpid(), **fields}
        self._write(msgspec.json.encode(told).decode() + "\n")

    def refused(self, event: str, words: str, failure: EdgewiseError) -> None:
        """Tell of what was asked of the gateway, by its operator, and can't be."""
        self.say(
            event,
            f"{words}: {failure}",
            level="error",
            error=type(failure).__name__,
            what=failure.what,
            where=failure.where,
            hint=failure.hint,
        )

    def broke(self, failure: BaseException) -> None:
        """Tell of a fault of ours: by classes and lines of code, as its text may hold payload."""
        kinds, lines = list(_kinds(failure)), list(_lines(failure))
        words = "\n  ".join([f"a fault of the gateway's own: {' from '.join(kinds)}", *lines])
        self.say("fault", words, level="error", error=kinds[0], causes=kinds[1:], lines=lines)

    def see(self, decision: Decision) -> None:
        """Count what failed of a decision's calls, and tell of it when it is time.

        A request that could not be read is the caller's trouble, who was told, and no tier's.
        """
        for attempt in decision.attempts:
            if attempt.outcome in _FAILURES and attempt.error != InvalidData.__name__:
                kind = (attempt.tier, attempt.outcome.value, attempt.error)
                self._failures[kind] += 1
                told_s = self._told_s.get(kind)
                # A clock that is set back starts anew: it would say nothing until it caught up.
                if told_s is None or not 0.0 <= decision.at_s - told_s < EVERY_S:
                    self._told_s[kind] = decision.at_s
                    self._tell(kind)

    def flush(self) -> None:
        """Tell of the failures that were counted since their kind was told last."""
        for kind in list(self._failures):
            self._tell(kind)

    def _tell(self, kind: tuple[str, str, str]) -> None:
        (tier, outcome, error), count = kind, self._failures.pop(kind)
        times = "once" if count == 1 else f"{count} times"
        words = f"tier {tier} {outcome.replace('_', ' ')} {times}: {error or 'no answer'}"
        self.say(
            "tier_failed",
            words,
            level="warning",
            tier=tier,
            outcome=outcome,
            error=error,
            count=count,
        )

    def _write(self, text: str) -> None:
        # What can't be written, because the disk is full or the reader is gone, is no request's
        # fault.
        with suppress(OSError, ValueError):
            self._out.write(text)
            self._out.flush()


def _kinds(failure: BaseException) -> Iterator[str]:
    """Give the class of a failure and of what caused it."""
    one: BaseException | None = failure
    for _ in range(_MOST_CAUSES):
        if one is None:
            return
        yield type(one).__name__
        one = one.__cause__ or one.__context__


def _lines(failure: BaseException) -> Iterator[str]:
    """Give the lines of code that a failure passed, the innermost last."""
    for frame in traceback.extract_tb(failure.__traceback__)[-_MOST_LINES:]:
        yield f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
