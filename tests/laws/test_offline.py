"""Laws of the offline queue: under crashes, full disks and clocks that jump, a model agrees."""

import asyncio
import dataclasses
import json
import shutil
import tempfile
from pathlib import Path

from full_disk import full_disk
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgewise.errors import EdgewiseError, RemoteError, StorageError
from edgewise.records import ApiKey, OfflineRules
from edgewise.route import Admission, LateAnswer, LateOutcome, LateRequest, OfflineQueue, drain
from edgewise.testing.route import FakeClock

RULES = OfflineRules(
    path="", max_count=6, max_bytes=6_000, max_answer_bytes=200, max_age_s=100.0, max_tries=2
)
TIERS = [("edge",), ("cloud",), ("edge", "cloud"), ("edge", "site", "cloud"), ("site",), ()]
REMOTE = ("site", "cloud")
ENDS = ("answer", "answer", "answer", "lost", "down", "broken", "wrong", "huge")
"""`lost` does the work and then the answer never arrives."""


@dataclasses.dataclass
class Waiting:
    """A request as the model knows it."""

    request: LateRequest
    age_s: float = 0.0
    tries: int = 0

    @property
    def is_old(self) -> bool:
        return self.age_s >= min(RULES.max_age_s, self.request.max_age_s or RULES.max_age_s)


NEVER_SET_BEFORE_S = 1_577_836_800.0  # 2020


class Server:
    """The far end: it does the work of a key once, and answers a repeated key as before."""

    def __init__(self) -> None:
        self.done: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.script: list[str] = []

    async def send(self, one: LateRequest) -> bytes:
        assert one.allowed
        assert set(one.allowed) <= set(REMOTE)
        self.asked.append(one.request_id)
        turn = self.script.pop(0) if self.script else "answer"
        if turn in ("down", "broken", "wrong"):
            status = {"down": None, "broken": 500, "wrong": 422}[turn]
            raise RemoteError("no", where="server", hint="-", status=status)
        body = b"y" * 10_000 if turn == "huge" else b"it was " + one.payload
        body = self.done.setdefault(one.request_id, body)
        if turn == "lost":
            raise RemoteError("reset", where="server", hint="-")
        return body


class QueueMachine(RuleBasedStateMachine):
    """Drives a queue and a model of it."""

    secret: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="queue-law-"))
        self.clock = FakeClock()
        self.server = Server()
        self.waiting: dict[str, Waiting] = {}
        self.answers: dict[str, LateAnswer] = {}
        self.taken: set[str] = set()
        self.numbers = 0
        self.lives = 0
        self.jumped = False
        self.open()

    def open(self) -> None:
        rules = dataclasses.replace(
            RULES,
            path=str(self.folder / f"queue{self.lives}"),
            key=None if self.secret is None else ApiKey(env="KEY"),
        )
        self.queue = OfflineQueue(rules, remote=REMOTE, secret=self.secret, clock=self.clock)

    def teardown(self) -> None:
        self.queue.close()
        shutil.rmtree(self.folder)

    def end(self, name: str, outcome: LateOutcome, body: bytes = b"", error: str = "") -> None:
        del self.waiting[name]
        self.answers[name] = LateAnswer(request_id=name, outcome=outcome, body=body, error=error)

    def expire(self) -> None:
        for name in [name for name, one in self.waiting.items() if one.is_old]:
            self.end(name, LateOutcome.EXPIRED)

    @rule(
        allowed=st.sampled_from(TIERS),
        size=st.sampled_from([0, 10, 1_000, 3_000, 5_500]),
        age_s=st.sampled_from([None, 10.0, 1_000.0]),
        full=st.integers(0, 5).map(lambda turn: turn == 0),
    )
    def put(self, allowed: tuple[str, ...], size: int, age_s: float | None, *, full: bool) -> None:
        name, self.numbers = f"r{self.numbers}", self.numbers + 1
        one = LateRequest(request_id=name, payload=b"x" * size, allowed=allowed, max_age_s=age_s)
        if full:
            with full_disk():
                said = self.queue.put(one)
            if any(one.is_old for one in self.waiting.values()):
                expected = Admission.NO_STORAGE if set(allowed) & set(REMOTE) else None
            else:
                expected = self.admission(one)
                expected = Admission.NO_STORAGE if expected is Admission.QUEUED else expected
            assert said is (expected or Admission.NO_REMOTE_TIER)
            return
        said = self.queue.put(one)
        self.expire()
        assert said is self.admission(one)
        if said.accepted:
            self.waiting[name] = Waiting(one)
            self.jumped = False

    def admission(self, one: LateRequest) -> Admission:
        """Give what a queue like the model says to a new request."""
        if not set(one.allowed) & set(REMOTE):
            return Admission.NO_REMOTE_TIER
        if self.charge(one) > RULES.max_bytes:
            return Admission.TOO_LARGE
        full = len(self.waiting) + len(self.answers) >= RULES.max_count
        if full or self.used_bytes() + self.charge(one) > RULES.max_bytes:
            return Admission.QUEUE_FULL
        return Admission.QUEUED

    def charge(self, one: LateRequest | LateAnswer) -> int:
        """Count as the docs say: 256 a row, 28 a seal, and 128 for the answer's own."""
        seal = 0 if self.secret is None else 28
        if isinstance(one, LateAnswer):
            return 256 + len(one.request_id) + len(one.error) + len(one.body) + seal
        content = max(len(one.payload) + seal, RULES.max_answer_bytes)
        return 256 + 128 + len(one.request_id) + len(json.dumps(one.allowed)) + content

    def used_bytes(self) -> int:
        waiting = sum(self.charge(one.request) for one in self.waiting.values())
        return waiting + sum(self.charge(one) for one in self.answers.values())

    def answered(self, name: str) -> None:
        """End a request with what the server did, as far as there is room."""
        body = self.server.done[name]
        self.end(name, LateOutcome.ANSWERED, body)
        if self.used_bytes() > RULES.max_bytes:
            self.answers[name] = LateAnswer(request_id=name, outcome=LateOutcome.ANSWER_TOO_LARGE)

    @precondition(lambda self: self.waiting or self.answers or self.taken)
    @rule(data=st.data())
    def put_again(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted({*self.waiting, *self.answers, *self.taken})))
        known = self.waiting.get(name)
        other = LateRequest(request_id=name, payload=b"another", allowed=("cloud",))

        said = self.queue.put(other if known is None else known.request)
        differs = self.queue.put(other)

        self.expire()
        assert said is Admission.KNOWN
        assert differs is (Admission.ID_IN_USE if name in self.waiting else Admission.KNOWN)

    @rule(script=st.lists(st.sampled_from(ENDS), max_size=8), at_once=st.sampled_from([1, 3]))
    def drain(self, script: list[str], at_once: int) -> None:
        self.expire()
        sent_before = len(self.server.asked)
        self.server.script = list(script)
        order, turns = list(self.waiting), list(script)

        done = asyncio.run(drain(self.queue, self.server.send, at_once=at_once))

        stopped, asked = False, []
        while order and not stopped:
            round_, order = order[:at_once], order[at_once:]
            for name in round_:
                asked.append(name)
                stopped = self.foresee(name, turns.pop(0) if turns else "answer") or stopped
        assert self.server.asked[sent_before:] == asked
        assert bool(done.stopped) is stopped
        self.jumped = self.jumped and not (done.answered or done.ended)

    def foresee(self, name: str, turn: str) -> bool:
        """Move the model on by one sending; say whether the drain ends with it."""
        if turn == "wrong":
            self.end(name, LateOutcome.REJECTED, error="RemoteError")
        elif turn in ("answer", "huge"):
            self.answered(name)
        elif turn == "broken":
            self.waiting[name].tries += 1
            if self.waiting[name].tries >= RULES.max_tries:
                self.end(name, LateOutcome.GAVE_UP, error="RemoteError")
        return turn in ("lost", "down", "broken")

    @precondition(lambda self: self.waiting)
    @precondition(lambda self: not any(one.is_old for one in self.waiting.values()))
    @rule(crash=st.booleans())
    def drain_on_a_full_disk(self, *, crash: bool) -> None:
        first = next(iter(self.waiting))
        self.server.script = []

        try:
            with full_disk():
                asyncio.run(drain(self.queue, self.server.send))
        except StorageError:
            pass
        else:
            raise AssertionError("an answer was recorded on a full disk")

        body = self.server.done[first]
        shown = self.queue.peek_answer(first)
        assert shown is not None
        assert shown.body == body
        if crash and not self.jumped:
            self.crash(0.0)  # the answer was in memory alone: the request will be sent again
        else:
            assert self.queue.settle([]) == 1
            self.answered(first)
            self.jumped = False

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), full=st.booleans())
    def take(self, data: st.DataObject, *, full: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.answers)))
        if full:
            try:
                with full_disk():
                    self.queue.take_answer(name)
            except EdgewiseError:
                return
            raise AssertionError("a taking was recorded on a full disk")
        assert self.queue.take_answer(name) == self.answers.pop(name)
        self.taken.add(name)
        self.jumped = False

    @rule(passed_s=st.sampled_from([1.0, 9.0, 60.0]))
    def wait(self, passed_s: float) -> None:
        self.clock.wait(passed_s)
        self.grow_older(passed_s)

    @rule(jump_s=st.sampled_from([-1e9, -60.0, 60.0, 1e9]))
    def jump(self, jump_s: float) -> None:
        self.clock.wall_s += jump_s
        self.jumped = True

    @rule(away_s=st.sampled_from([0.0, 9.0, 60.0]))
    def restart(self, away_s: float) -> None:
        self.queue.close()
        self.away(away_s)
        self.open()
        self.jumped = False

    @precondition(lambda self: not self.jumped)
    @rule(away_s=st.sampled_from([0.0, 9.0, 60.0]))
    def crash(self, away_s: float) -> None:
        old, self.lives = self.folder / f"queue{self.lives}", self.lives + 1
        for end in ("", "-wal"):
            shutil.copy(f"{old}{end}", self.folder / f"queue{self.lives}{end}")
        self.queue.release()
        self.queue.close()
        self.away(away_s)
        self.open()

    def away(self, away_s: float) -> None:
        """Let time pass with no process; the monotonic clock may begin anew.

        What a wall clock that was never set showed tells nothing of how long that was.
        """
        if self.clock.utc_s() >= NEVER_SET_BEFORE_S:
            self.grow_older(away_s)
        wall_s = self.clock.utc_s() + away_s
        self.clock.time_s = 5.0
        self.clock.wall_s = wall_s - 5.0

    def grow_older(self, passed_s: float) -> None:
        for one in self.waiting.values():
            one.age_s += passed_s

    @invariant()
    def nothing_is_lost_and_nothing_twice(self) -> None:
        state = self.queue.state()
        assert state.waiting == len(self.waiting)
        assert sorted(self.queue.answered_ids()) == sorted(self.answers)
        assert state.waiting + state.answered <= RULES.max_count
        assert state.used_bytes == self.used_bytes() <= RULES.max_bytes

    @invariant()
    def every_end_is_what_the_model_says_and_no_taken_one_is_given(self) -> None:
        for name, end in self.answers.items():
            assert self.queue.peek_answer(name) == end
        for name in list(self.taken)[-3:]:
            assert self.queue.take_answer(name) is None


class SealedQueueMachine(QueueMachine):
    """The same, with a key."""

    secret = "secret"


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSealedQueue = SealedQueueMachine.TestCase
TestSealedQueue.settings = settings(max_examples=4, stateful_step_count=20, deadline=None)
