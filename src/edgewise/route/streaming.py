"""Carries out the steps of one request whose answer is handed out in pieces.

Each tier that is asked is read until its confidence is known, or until nothing can replace its
answer; then the decision is asked as for a whole answer. What was read of a tier that the decision
turned down is kept, should it be the last resort. Once a piece was handed out, no other tier is
asked, and no other's text is ever mixed in.
"""

import asyncio
import contextlib
import random  # noqa: TID251 - only the type of the rng that is handed in
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any, Self

from edgewise.errors import (
    AnswerBrokenOff,
    DeadlineExceeded,
    EdgewiseError,
    InvalidData,
    InvalidModel,
    TierUnavailable,
)
from edgewise.records import (
    Action,
    Attempt,
    Outcome,
    Prediction,
    Step,
    SystemState,
    TextChunk,
    TextScore,
    TierPolicy,
    TokenUsage,
)
from edgewise.route.calling import (
    Call,
    affordable,
    begin,
    confidence_of,
    estimated_input_tokens,
    may_try,
    pause,
)
from edgewise.route.clock import Clock
from edgewise.route.decide import decide
from edgewise.route.restoring import ChunkRestorer
from edgewise.route.result import InferenceResult
from edgewise.route.running import Run
from edgewise.route.tiers import stream_of
from edgewise.runtimes.chat_wire import prediction_of
from edgewise.runtimes.gathering import Gathered

Pieces = AsyncGenerator[TextChunk, None]
_NOTHING = TextChunk()
# Members that most requests need: see `candidates.py`.
_ASK, _ANSWER = Action.ASK, Action.ANSWER
_ANSWERED, _CANCELLED = Outcome.ANSWERED, Outcome.CANCELLED


class AnswerStream:
    """One answer in pieces. Made by `engine.stream`, read once by its caller.

    Who leaves before the end closes it (`async with`, `aclose`): that ends the tier's work.
    """

    def __init__(self, start: Callable[["AnswerStream"], Pieces]) -> None:
        self._pieces = start(self)
        self._so_far: Callable[[], InferenceResult] | None = None
        self._begun = False
        self._result: InferenceResult | None = None

    @property
    def result(self) -> InferenceResult | None:
        """Give the whole answer and how it came about; `None` before the last piece."""
        return self._result

    @property
    def so_far(self) -> InferenceResult | None:
        """Give what is known of the answer by now; `None` before the first piece.

        Who answers and why is settled with the first piece; what it costs is known at the end.
        """
        if self._result is not None or not self._begun or self._so_far is None:
            return self._result
        return self._so_far()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TextChunk:
        piece = await anext(self._pieces)
        self._begun = True
        return piece

    async def aclose(self) -> None:
        """Leave: the tier stops, and its connection is freed."""
        await self._pieces.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def begin(self, so_far: Callable[[], InferenceResult]) -> None:
        """Take what tells of the answer on its way. Called by the engine."""
        self._so_far = so_far

    def end(self, result: InferenceResult) -> None:
        """Take the whole answer. Called by the engine."""
        self._result = result


class _Held:
    """One tier's stream, as far as it was read."""

    __slots__ = ("_restorer", "call", "ended", "place", "read", "said", "stream", "told")

    def __init__(self, call: Call, stream: Pieces, restorer: ChunkRestorer) -> None:
        self.call = call
        self.stream = stream
        self.read: deque[TextChunk] = deque()
        """Restored, and not handed out yet."""
        self.told, self.said = Gathered(), Gathered()
        """The answer as the tier wrote it, and with the data put back."""
        self.ended = False
        self.place = -1
        self._restorer = restorer

    async def take(self) -> None:
        """Read the next piece; at the end note that it was the last."""
        piece = await anext(self.stream, None)
        if piece is None:
            self.ended = True
            self._keep(self._restorer.close())
            return
        self.told.add(piece)
        self._keep(self._restorer.feed(piece))

    def usage(self, run: Run) -> TokenUsage | None:
        """Give the tokens that the tier worked on; `None` where nothing came back."""
        if not self.told.tokens and self.told.told is None:
            return None
        return self.told.usage(estimated_input_tokens(run.facts))

    def answer(self, run: Run) -> Prediction:
        """Give the answer as far as it came, with the data put back."""
        return prediction_of(self.said.generation(estimated_input_tokens(run.facts)))

    def _keep(self, piece: TextChunk) -> None:
        if piece != _NOTHING:
            self.said.add(piece)
            self.read.append(piece)


class Streamer:
    """Carries streamed requests to their ends. Made by the engine, used from its event loop.

    A stream is never hedged, and retried only before its first piece was handed out.
    """

    def __init__(self, clock: Clock, rng: random.Random, system: Callable[[], SystemState]) -> None:
        self._clock = clock
        self._rng = rng
        self._system = system
        self._seen = self._unhedged = SystemState(hedges_left=False)

    async def carry(self, run: Run) -> Pieces:
        """Give the pieces of the answer that stands; without one, the last step says why.

        Raises
        ------
        AnswerBrokenOff
            When the tier failed after a piece was handed out.
        DeadlineExceeded
            When the answer was not whole in time.
        InvalidData
            When the only tier that looked at the input can't read it.
        """
        held: dict[str, _Held] = {}
        try:
            step = self._next(run, ())
            while step.action is _ASK:
                run.steps.append(step)
                await self._begin(run, step, held)
                step = self._next(run, ())
            run.steps.append(step)
            if step.action is not _ANSWER or step.tier is None:
                return
            chosen = held[step.tier]
            for other in [one for one in held.values() if one is not chosen]:
                self._end(run, other, _ANSWERED)
                await other.stream.aclose()
            async with contextlib.aclosing(self._hand_out(run, chosen)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            # All end before the first is closed, where another cancellation may come.
            for one in held.values():
                self._end(run, one, _CANCELLED)
            for one in held.values():
                await one.stream.aclose()

    def _next(self, run: Run, more: tuple[Attempt, ...]) -> Step:
        now_s, system = self._clock.now_s(), self._system()
        if system is not self._seen:
            self._seen, self._unhedged = system, replace(system, hedges_left=False)
        return decide(
            run.serving.policy,
            run.facts,
            affordable(run, run.serving.states(now_s)),
            [*run.attempts, *more],
            (now_s - run.start_s) * 1000,
            self._unhedged,
        )

    async def _begin(self, run: Run, step: Step, held: dict[str, _Held]) -> None:
        """Ask a tier, and read it until the decision can tell what becomes of it."""
        if not may_try(run, step):
            return
        timeout_ms = await pause(step, self._clock, self._rng)
        call = begin(run, step, self._clock)
        if call is None:
            return
        tier = call.tier
        limit = _Limit(timeout_ms, _where(run, tier))
        outcome = _CANCELLED
        begun: _Held | None = None
        failure: EdgewiseError | None = None
        try:
            begun = _opened(run, call, timeout_ms)
            with limit:
                await self._read(run, begun)
            outcome = _ANSWERED
        except DeadlineExceeded as late:
            outcome, failure = Outcome.TIMED_OUT, late
        except (TierUnavailable, InvalidModel, InvalidData) as wrong:
            outcome, failure = Outcome.FAILED, wrong
            if isinstance(wrong, InvalidData) and not run.answers:
                raise
        finally:
            limit.close()
            if outcome is not _ANSWERED:
                # Before its stream is closed: who leaves meanwhile frees its place all the same.
                usage = None if begun is None else begun.usage(run)
                run.attempts.append(call.end(outcome, failure=failure, usage=usage))
                if begun is not None:
                    await begun.stream.aclose()
        if begun is not None and outcome is _ANSWERED:
            begun.place = len(run.attempts)
            run.attempts.append(self._attempt_so_far(run, begun))
            run.answers[tier.name] = begun.answer(run)
            held[tier.name] = begun

    async def _read(self, run: Run, begun: _Held) -> None:
        """Read until the confidence is known; where nothing can replace it, to the first piece."""
        await begun.take()
        doubtful = Attempt(
            tier=begun.call.tier.name, outcome=_ANSWERED, latency_ms=0.0, confidence=0.0
        )
        may_be_replaced = self._next(run, (doubtful,)).action is not _ANSWER
        tokens = _tokens_to_decide(run, begun.call.tier) if may_be_replaced else 0
        while not begun.ended:
            enough = tokens is not None and begun.told.tokens >= tokens
            if enough and any(one.is_content for one in begun.read):
                return
            await begun.take()

    def _attempt_so_far(self, run: Run, begun: _Held) -> Attempt:
        tier = begun.call.tier
        found = begun.told.generation(estimated_input_tokens(run.facts))
        tokens = run.serving.policy.stream.commit_after_tokens
        if tokens is not None:
            # A piece may bring more tokens than were waited for: the confidence reads no more.
            found = replace(found, logprobs=found.logprobs[:tokens])
        return Attempt(
            tier=tier.name,
            outcome=_ANSWERED,
            latency_ms=(self._clock.now_s() - begun.call.start_s) * 1000,
            confidence=confidence_of(tier, prediction_of(found), run.facts.input_length),
        )

    async def _hand_out(self, run: Run, chosen: _Held) -> Pieces:
        limit = _Limit(self._left_ms(run), _where(run, chosen.call.tier))
        outcome = _CANCELLED
        failure: EdgewiseError | None = None
        try:
            while True:
                while chosen.read:
                    yield chosen.read.popleft()
                if chosen.ended:
                    break
                with limit:
                    await chosen.take()
            outcome = _ANSWERED
        except DeadlineExceeded as late:
            outcome, failure = Outcome.TIMED_OUT, late
            raise _told_late(late, chosen) from None
        except (EdgewiseError, OSError) as wrong:
            outcome = Outcome.FAILED
            failure = wrong if isinstance(wrong, EdgewiseError) else None
            raise _broken_off(wrong, run, chosen) from None
        finally:
            limit.close()
            self._end(run, chosen, outcome, failure)
            await chosen.stream.aclose()

    def _end(
        self, run: Run, held: _Held, outcome: Outcome, failure: EdgewiseError | None = None
    ) -> None:
        """End a call that the decision has heard of, once; its attempt then tells the whole."""
        place, held.place = held.place, -1
        if place < 0:
            return
        run.attempts[place] = held.call.end(
            outcome,
            confidence=run.attempts[place].confidence,
            failure=failure,
            usage=held.usage(run),
        )
        run.answers[held.call.tier.name] = held.answer(run)
        if not held.ended:
            run.cut_off.add(held.call.tier.name)

    def _left_ms(self, run: Run) -> float | None:
        deadline_ms = run.facts.deadline_ms
        if deadline_ms is None:
            deadline_ms = run.serving.policy.deadline_ms
        if deadline_ms is None:
            return None
        return max(0.0, deadline_ms - (self._clock.now_s() - run.start_s) * 1000)


def _opened(run: Run, call: Call, timeout_ms: float | None) -> _Held:
    """Ask a tier for what it may see of the input."""
    tier, name = call.tier, run.facts.request_id
    one = run.input_for(tier)
    stream = stream_of(run.serving.tiers[tier.name], one, timeout_ms, request_id=name)
    return _Held(call, stream, ChunkRestorer(run.way_back(tier)))


def _tokens_to_decide(run: Run, tier: TierPolicy) -> int | None:
    """Give how many tokens tell the confidence; `None` for all."""
    tokens, confidence = run.serving.policy.stream.commit_after_tokens, tier.text_confidence
    if confidence is None:
        return tokens
    first = 1 if confidence.score is TextScore.FIRST_MARGIN else confidence.first_tokens
    known = [one for one in (tokens, first) if one is not None]
    return min(known) if known else None


class _Limit:
    """Bounds the waits for one tier's answer by one timer. Entered for each wait, closed at last.

    It cancels as `asyncio.timeout` does, which would be made, entered and left once a piece.
    """

    __slots__ = (
        "_before",
        "_cancels",
        "_is_over",
        "_limit_ms",
        "_loop",
        "_task",
        "_timer",
        "_where",
    )

    def __init__(self, limit_ms: float | None, where: str) -> None:
        self._limit_ms, self._where = limit_ms, where
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._before = 0
        self._cancels = self._is_over = False
        self._timer: asyncio.Handle | None = None
        if limit_ms is not None:
            self._timer = self._loop.call_later(limit_ms / 1000, self._end)

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        assert task is not None
        self._before = task.cancelling()
        if self._is_over:  # what is there already can still be taken
            self._timer = self._loop.call_soon(self._end)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task, self._task = self._task, None
        if not self._cancels or task is None:
            return
        self._cancels = False
        if task.uncancel() <= self._before and kind is asyncio.CancelledError:
            what = f"no answer within {self._limit_ms:.0f} ms"
            raise DeadlineExceeded(what, where=self._where, hint="allow more time") from None

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self._is_over = True
        if self._task is not None and not self._cancels:
            self._cancels = True
            self._task.cancel()


def _where(run: Run, tier: TierPolicy) -> str:
    return f"request {run.facts.request_id}, tier {tier.name}"


def _handed_out(held: _Held) -> str:
    return f"{held.said.characters} characters of it were handed out"


def _told_late(late: DeadlineExceeded, held: _Held) -> DeadlineExceeded:
    what = f"the answer is not whole, {late.what}; {_handed_out(held)}"
    return DeadlineExceeded(what, where=late.where, hint="allow more time, or ask for fewer tokens")


def _broken_off(wrong: Any, run: Run, held: _Held) -> AnswerBrokenOff:
    why = wrong.what if isinstance(wrong, EdgewiseError) else type(wrong).__name__
    what = f"the answer broke off: {why}; {_handed_out(held)}"
    hint = "drop what came, and ask again"
    return AnswerBrokenOff(what, where=_where(run, held.call.tier), hint=hint)
