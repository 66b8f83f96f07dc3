"""Store and forward in a replay: requests that wait for a tier, as the live queue keeps them.

While something waits, it is looked every half second whether a remote tier's circuit lets calls
through. Then what waits is sent in order, a few at a time, until nothing is left or one fails. A
call that met an outage counts no try; one that the tier failed on does.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewise.records import OfflineRules
from edgewise.route.late import AT_ONCE, LOOK_EVERY_S
from edgewise.simulate.clockwork import Clockwork
from edgewise.simulate.tally import LateTally

if TYPE_CHECKING:
    from edgewise.simulate.carried import Run

_SYSTEM = -1


@dataclass(slots=True, eq=False)
class Late:
    """A request that waits. Made by `Store`."""

    run: "Run"
    """As it was when nobody could answer it."""
    size_bytes: int
    allowed: tuple[str, ...]
    since_s: float
    tries: int = 0

    @property
    def number(self) -> int:
        """Give its place in the trace."""
        return self.run.number


class Store:
    """Keeps requests and sends them later. Made by `Events`.

    Parameters
    ----------
    reachable
        Says whether a remote tier can be asked.
    send
        Sends one of them on its way; `ended` is called when that is over.
    """

    def __init__(
        self,
        rules: OfflineRules,
        clockwork: Clockwork,
        tally: LateTally,
        *,
        reachable: Callable[[float], bool],
        send: Callable[[Late, float], None],
    ) -> None:
        self._rules = rules
        self._clockwork = clockwork
        self._tally = tally
        self._reachable = reachable
        self._send = send
        self._waiting: deque[Late] = deque()
        self._bytes = 0
        self._under_way = 0
        self._failed: list[Late] = []
        self._stops = False
        self._looks = False

    def put(self, run: "Run", allowed: tuple[str, ...], now_s: float) -> bool:
        """Take a request; `False` where there is no room."""
        rules = self._rules
        size = run.facts.input_bytes + rules.max_answer_bytes
        count = len(self._waiting) + self._under_way + len(self._failed)
        if count >= rules.max_count or self._bytes + size > rules.max_bytes:
            self._tally.refused += 1
            return False
        self._tally.stored += 1
        self._bytes += size
        self._waiting.append(Late(run=run, size_bytes=size, allowed=allowed, since_s=now_s))
        if not self._looks:
            self._look_later(now_s)
        return True

    def ended(self, one: Late, now_s: float, *, answered: bool, tried: bool) -> None:
        """Note how a request that was sent came back."""
        self._under_way -= 1
        one.tries += tried
        self._stops = self._stops or not answered
        if not answered and one.tries < self._rules.max_tries:
            self._failed.append(one)
        else:
            self._bytes -= one.size_bytes
            self._tally.end(now_s - one.since_s, answered=answered)
        if self._under_way:
            return
        if not self._stops:
            self._send_next(now_s)
            return
        # The link is down: what it failed on comes first when it is back.
        self._waiting.extendleft(sorted(self._failed, key=lambda late: -late.number))
        self._failed.clear()
        self._stops = False
        if self._waiting:
            self._look_later(now_s)
        else:
            self._looks = False

    def _look_later(self, now_s: float) -> None:
        self._looks = True
        self._clockwork.at(now_s + LOOK_EVERY_S, _SYSTEM, self._look)

    def _look(self, now_s: float) -> None:
        self._expire(now_s)
        if self._waiting and not self._reachable(now_s):
            self._look_later(now_s)
            return
        self._send_next(now_s)

    def _expire(self, now_s: float) -> None:
        while self._waiting and now_s - self._waiting[0].since_s >= self._rules.max_age_s:
            self._bytes -= self._waiting.popleft().size_bytes
            self._tally.expired += 1

    def _send_next(self, now_s: float) -> None:
        """Send the next few; nothing is looked for once nothing waits."""
        self._expire(now_s)
        self._looks = bool(self._waiting)
        claimed = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        self._under_way = len(claimed)
        for one in claimed:
            self._send(one, now_s)
