"""Store and forward in a replay: requests that wait for a tier, as the live queue keeps them.

While something waits, it is looked every half second whether a remote tier's circuit lets calls
through. Then what waits is sent in order, a few at a time, until nothing is left or one fails. What
can't go now where others may is passed over. A call that met an outage counts no try; one that the
tier failed on does.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewise.records import OfflineRules
from edgewise.route.late import AT_ONCE, HELD_REST_S, LOOK_EVERY_S, MOST_HELD
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
        self._held: list[Late] = []
        """What was passed over."""
        self._passed = 0
        """Since it was looked."""
        self._stops = False
        self._looks = False

    def put(self, run: "Run", allowed: tuple[str, ...], now_s: float) -> bool:
        """Take a request; `False` where there is no room."""
        rules = self._rules
        size = run.facts.input_bytes + rules.max_answer_bytes
        count = len(self._waiting) + self._under_way + len(self._failed) + len(self._held)
        if count >= rules.max_count or self._bytes + size > rules.max_bytes:
            self._tally.refused += 1
            return False
        self._tally.stored += 1
        self._bytes += size
        self._waiting.append(Late(run=run, size_bytes=size, allowed=allowed, since_s=now_s))
        if not self._looks:
            self._rest(now_s, LOOK_EVERY_S)
        return True

    def ended(
        self, one: Late, now_s: float, *, answered: bool, tried: bool, held: bool = False
    ) -> None:
        """Note how a request that was sent came back; `held` is one that could not go."""
        self._under_way -= 1
        one.tries += tried
        self._stops = self._stops or not (answered or held)
        if held:
            self._held.append(one)
            self._passed += 1
        elif not answered and one.tries < self._rules.max_tries:
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
        self._stops = False
        self._release()
        self._passed = 0
        self._rest(now_s, LOOK_EVERY_S)

    def _release(self) -> None:
        """Put what could not be sent before what waits, in order."""
        back = sorted([*self._failed, *self._held], key=lambda late: -late.number)
        self._waiting.extendleft(back)
        self._failed.clear()
        self._held.clear()

    def _rest(self, now_s: float, rest_s: float) -> None:
        """Look again after a while; nothing is looked for once nothing waits."""
        self._looks = bool(self._waiting or self._held)
        if self._looks:
            self._clockwork.at(now_s + rest_s, _SYSTEM, self._look)

    def _look(self, now_s: float) -> None:
        self._expire(now_s)
        if (self._waiting or self._held) and not self._reachable(now_s):
            self._rest(now_s, LOOK_EVERY_S)
            return
        self._send_next(now_s)

    def _expire(self, now_s: float) -> None:
        while self._waiting and now_s - self._waiting[0].since_s >= self._rules.max_age_s:
            self._bytes -= self._waiting.popleft().size_bytes
            self._tally.expired += 1

    def _send_next(self, now_s: float) -> None:
        """Send the next few, or rest where none is left or enough were passed over."""
        self._expire(now_s)
        goes_on = self._passed >= MOST_HELD
        count = 0 if goes_on else min(AT_ONCE, len(self._waiting))
        claimed = [self._waiting.popleft() for _ in range(count)]
        if not claimed:
            if not goes_on:
                self._release()
            rest_s = HELD_REST_S if self._passed else LOOK_EVERY_S
            self._passed = 0
            self._rest(now_s, rest_s)
            return
        self._under_way = len(claimed)
        for one in claimed:
            self._send(one, now_s)
