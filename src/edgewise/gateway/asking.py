"""From a request's headers and inputs to answers of the engine, and from those to headers."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from edgewise.errors import EdgewiseError, InvalidData
from edgewise.gateway.messages import Headers, Request
from edgewise.gateway.refusing import Refusal
from edgewise.gateway.rollout import Rollout
from edgewise.records import Input, PrivacyRules
from edgewise.route import AnswerStream, HybridInferenceEngine, InferenceResult
from edgewise.route.storing import QUEUED

_PREFIX = "x-edgewise-"
_YES = ("1", "true", "yes", "on", "private")
_NO = ("0", "false", "no", "off", "public", "")
_AT_ONCE = 16

Answering = Coroutine[Any, Any, InferenceResult]
Beside = Sequence[Input]
"""What a request says beside its inputs, which may hold the policy's privacy flag and region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request's headers ask for beside its inputs. Made from them, once a request."""

    force_location: str | None = None
    private: bool = False
    region: str | None = None
    deadline_ms: float | None = None
    allow_late: bool = False
    idempotent: bool = True
    caller: str = ""


NOTHING_ASKED = Asked()


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """An answer in pieces, and whom to tell how it ended. Made by `Asking`, read once."""

    stream: AnswerStream
    ended: Callable[[BaseException | None], None]
    """Called with what went wrong, or `None`; only the first call counts."""


class SomeStored(Exception):
    """An input of several failed, and others wait: only their ids lead to their answers."""

    def __init__(self, failure: EdgewiseError | Refusal, request_ids: list[str]) -> None:
        super().__init__(type(failure).__name__)
        self.failure, self.request_ids = failure, request_ids


def asked_of(request: Request, caller: str) -> Asked:
    """Read what a request's headers ask for.

    Raises
    ------
    Refusal
        When a header says what can't be.
    """
    headers = request.headers
    if not caller and _PREFIX not in "\n".join(headers):
        return NOTHING_ASKED
    deadline = headers.get("x-edgewise-deadline-ms")
    return Asked(
        force_location=headers.get("x-edgewise-force-location") or None,
        private=_flag(headers, "x-edgewise-privacy"),
        region=_region(headers),
        deadline_ms=None if deadline is None else _milliseconds(deadline),
        allow_late=_flag(headers, "x-edgewise-allow-late"),
        idempotent=not _flag(headers, "x-edgewise-once"),
        caller=caller,
    )


def _flag(headers: Mapping[str, str], name: str) -> bool:
    said = headers.get(name, "").strip().lower()
    if said not in _YES and said not in _NO:
        raise Refusal(400, f"`{name}` is neither true nor false", hint="say true, or leave it out")
    return said in _YES


def _region(headers: Mapping[str, str]) -> str | None:
    """Read the region: a second header of what stands in between has to say the same.

    A gateway that sends on writes what no header can hold with percent signs.
    """
    name = "x-edgewise-region"
    said = {unquote(one.strip()) for one in headers.get(name, "").split(",")}
    if len(said) > 1:
        raise Refusal(400, f"`{name}` is said twice, and differs", hint="say one region")
    return said.pop() or None


def _milliseconds(said: str) -> float:
    try:
        value = float(said)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e9:
        hint = "give milliseconds above 0, like 100"
        raise Refusal(400, "`x-edgewise-deadline-ms` is no time", hint=hint)
    return value


def refuse_late(asked: Asked, what: str) -> None:
    """Refuse to store what only /predict can give later: elsewhere it would seem an empty answer.

    Raises
    ------
    Refusal
        When the request may be answered late.
    """
    if asked.allow_late:
        hint = "leave `x-edgewise-allow-late` out, or ask /predict"
        raise Refusal(400, f"{what} can't come late", hint=hint)


class Asking:
    """Asks the engine. Made by the gateway.

    Parameters
    ----------
    most
        Inputs that one request may bring.
    """

    def __init__(self, engine: HybridInferenceEngine, *, most: int) -> None:
        self.engine = engine
        self.rollout: Rollout | None = None
        self._most = most

    def one(self, one: Input, asked: Asked, beside: Beside = ()) -> Answering:
        """Answer one input."""
        _check_image(one)
        rollout = self.rollout
        if rollout is None or rollout.canary is None:
            return _predict(self.engine, one, asked, beside)
        return self._chosen(rollout, one, asked, beside)

    async def _chosen(
        self, rollout: Rollout, one: Input, asked: Asked, beside: Beside
    ) -> InferenceResult:
        engine = rollout.choose()
        failure: BaseException | None = None
        try:
            return await _predict(engine, one, asked, beside)
        except BaseException as wrong:
            failure = wrong
            raise
        finally:
            rollout.ended(engine, failure)

    def stream(self, one: Input, asked: Asked, beside: Beside = ()) -> Streamed:
        """Answer a chat in pieces."""
        rollout = self.rollout
        chooses = rollout is not None and rollout.canary is not None
        engine = rollout.choose() if rollout is not None and chooses else self.engine
        try:
            one = _guarded(engine.policy.privacy, one, asked, beside)
        except Refusal as wrong:
            if rollout is not None and chooses:
                rollout.ended(engine, wrong)
            raise
        stream = engine.stream(
            one,
            asked.force_location,
            asked.deadline_ms,
            idempotent=asked.idempotent,
            caller=asked.caller,
        )
        told = not chooses

        def ended(failure: BaseException | None) -> None:
            nonlocal told
            if not told and rollout is not None:
                rollout.ended(engine, failure)
            told = True

        return Streamed(stream=stream, ended=ended)

    async def many(
        self, inputs: Sequence[Input], asked: Asked, beside: Beside = ()
    ) -> list[InferenceResult]:
        """Answer inputs in their order, some at a time; the first failure ends the rest.

        Where they may be stored, those under way go on to their ends.

        Raises
        ------
        InvalidData
            When there are none, or too many.
        SomeStored
            When one failed, and others were stored.
        """
        if not 0 < len(inputs) <= self._most:
            what = f"{len(inputs)} inputs"
            raise InvalidData(what, where="body", hint=f"give 1 to {self._most}")
        if len(inputs) == 1:
            return [await self.one(inputs[0], asked, beside)]
        found: list[InferenceResult | None] = [None] * len(inputs)
        failures: list[EdgewiseError | Refusal] = []
        waiting = iter(range(len(inputs)))

        async def work() -> None:
            for index in waiting:
                found[index] = await self.one(inputs[index], asked, beside)

        async def work_to_end() -> None:
            try:
                while not failures and (index := next(waiting, None)) is not None:
                    found[index] = await self.one(inputs[index], asked, beside)
            except (EdgewiseError, Refusal) as failure:
                failures.append(failure)

        await _together(work_to_end if asked.allow_late else work, min(_AT_ONCE, len(inputs)))
        results = [one for one in found if one is not None]
        if failures:
            raise _with_stored(failures[0], results)
        return results


async def _together(work: Callable[[], Coroutine[Any, Any, None]], count: int) -> None:
    """Do work so many times at once; the first failure ends the rest, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _with_stored(failure: EdgewiseError | Refusal, results: Sequence[InferenceResult]) -> Exception:
    stored = [one.request_id for one in results if one.location == QUEUED]
    return SomeStored(failure, stored) if stored else failure


def _predict(engine: HybridInferenceEngine, one: Input, asked: Asked, beside: Beside) -> Answering:
    # Not `async`, nor is `one`: each coroutine more is a frame more at every wait.
    if beside or asked.private or asked.region:
        one = _guarded(engine.policy.privacy, one, asked, beside)
    if asked is NOTHING_ASKED:
        return engine.predict(one)
    return engine.predict(
        one,
        asked.force_location,
        asked.deadline_ms,
        idempotent=asked.idempotent,
        allow_late=asked.allow_late,
        caller=asked.caller,
    )


def _guarded(rules: PrivacyRules, one: Input, asked: Asked, beside: Beside) -> Input:
    """Give an input with what is said of privacy beside it, which only narrows.

    By the rules of the policy that decides: a canary's may have other names for it.
    """
    added: dict[str, Any] = {}
    if asked.private or any(place.get(rules.flag) for place in beside):
        added[rules.flag] = True
    key = rules.residency_key
    region = one.get(key)
    for told in (place.get(key) for place in beside if rules.residency):
        if region is not None and told is not None and told != region:
            raise Refusal(400, f"`{key}` is said twice, and differs", hint="say one region")
        region = told if region is None else region
    if asked.region is not None:
        if region is not None and region != asked.region:
            what = f"`x-edgewise-region` and `{key}` differ"
            raise Refusal(400, what, hint="say one region")
        region = asked.region
    if region is not None:
        added[key] = region
    return {**one, **added} if added else one


def _check_image(one: Input) -> None:
    if isinstance(one.get("image"), str):
        what, hint = "`image` is a path", "give the pixels: files of the server are not read"
        raise InvalidData(what, where="image", hint=hint)


def decided(results: Sequence[InferenceResult]) -> Headers:
    """Give the headers that say where the answers came from, and why."""
    first = results[0]
    if len(results) == 1:
        confidence, location, reasons = first.confidence, first.location, first.reasons
        cost, latency_ms = first.cost, first.latency_ms
    else:
        confidence = min(one.confidence for one in results)
        location = ",".join(dict.fromkeys(one.location for one in results))
        reasons = tuple(dict.fromkeys(reason for one in results for reason in one.reasons))
        cost = sum(one.cost for one in results)
        latency_ms = max(one.latency_ms for one in results)
    headers = [
        ("x-edgewise-request-id", first.request_id),
        ("x-edgewise-location", location),
        ("x-edgewise-confidence", f"{confidence:.6g}"),
        ("x-edgewise-reasons", ",".join(reasons)),
        ("x-edgewise-policy", first.policy_version[:16]),
        ("x-edgewise-cost-usd", f"{cost:.9g}"),
        ("x-edgewise-latency-ms", f"{latency_ms:.3f}"),
    ]
    if first.certificate is not None:
        headers.append(("x-edgewise-certificate", first.certificate["state"]))
    if first.warnings:
        headers.append(("x-edgewise-warnings", ",".join(first.warnings)))
    return headers
