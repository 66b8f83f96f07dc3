"""The laws of a remote protocol: subclass `RemoteProtocolLaws` to hold a `Wire` against them."""

# ruff: noqa: D102, FBT001 - a law's name is its sentence, its arguments are fixtures

import asyncio
import itertools
import json
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from edgewise.errors import DeadlineExceeded, EdgewiseError, InvalidData, RemoteError
from edgewise.records import Input, Prediction
from edgewise.runtimes import Lane, LocalModel, RemoteModel, Wire
from edgewise.runtimes.httpx_lane import HttpxLane
from edgewise.testing.endpoints import End, RawEndpoint, Turn

FACES = ("predict_many", "apredict_many")
KEY = "sk-conformance-7f3a"
PAYLOAD = "my doctor said good things"
TEXTS = ("good great day", "bad", "", "awful good bad", "nothing of note")
STRANGE_TEXTS = (
    "grüße: good",
    "好 great 👍🏽",
    "عربي bad",
    "a\x00b \x7f good",
    'line\nbreak\t"quotes" \\ awful </script>',
    "e\u0301 is not \u00e9 bad",
)
_LIMIT_MS = 250.0
_SLACK_MS = 2000.0
_ECHO = f"{PAYLOAD} {KEY}"

Outcome = list[Prediction] | EdgewiseError


def _refusal(status: int, *headers: tuple[str, str]) -> Turn:
    body = json.dumps({"error": _ECHO, "message": {"content": _ECHO}}).encode()
    return Turn(status=status, body=body, headers=(("content-type", "application/json"), *headers))


REFUSALS = {
    **{str(status): _refusal(status) for status in (400, 401, 403, 404, 413, 422, 429, 500, 503)},
    "201": _refusal(201),
    "204": Turn(status=204, body=b"", headers=()),
    "429 with retry-after": _refusal(429, ("retry-after", "7")),
    "307": _refusal(307, ("location", "http://127.0.0.1:9/elsewhere")),
    "a refusal without an end": Turn(status=502, body=b"x" * 65_536, times=100_000),
}
"""Each is told by its status."""

NONSENSE = {
    "HTML": Turn(
        body=f"<html><body>Sign in, {_ECHO}</body></html>".encode(),
        headers=(("content-type", f"text/html; {_ECHO}"),),
    ),
    "a strange content type": Turn(body=b"<", headers=(("content-type", _ECHO),)),
    "an empty body": Turn(body=b""),
    "bytes of no encoding": Turn(body=b"\xff\xfe\xfd" * 5),
    "a list": Turn(body=b"[]"),
    "an object without keys": Turn(body=b"{}"),
    "a number": Turn(body=b"3"),
    "null": Turn(body=b"null"),
    "a text": Turn(body=json.dumps(_ECHO).encode()),
    "deep nesting": Turn(body=b"[" * 200_000),
    "unasked compression": Turn(body=b"\x1f\x8b", headers=(("content-encoding", "gzip"),)),
}
"""Each has status 200 and is no answer of any protocol."""


def _numbers(become: Any) -> Callable[[Any], Any]:
    return lambda one: become if isinstance(one, int | float) else one


SPOILED: dict[str, Callable[[Any], Any]] = {
    "NaN for numbers": _numbers(float("nan")),
    "infinity for numbers": _numbers(float("inf")),
    "a number too large for any float": _numbers(10**400),
    "texts for numbers": _numbers(_ECHO),
    "numbers for texts": lambda one: 5 if isinstance(one, str) else one,
    "null for everything": lambda _: None,
    "an unknown label": lambda one: _ECHO if one in ("positive", "negative", "other") else one,
}
"""Each changes the values of a right answer until it is none; labels are those of the suite."""

BROKEN = {
    "closed without an answer": Turn(status=None, end=End.CLOSE),
    "reset without an answer": Turn(status=None, end=End.RESET),
    "cut off in the body": Turn(body=b'{"pre', told_bytes=500, end=End.CLOSE),
    "reset in the body": Turn(body=b'{"pre', told_bytes=500, end=End.RESET),
}
"""Each ends before its answer is whole."""

SLOW = {
    "silence": Turn(status=None, end=End.HOLD),
    "a head without a body": Turn(body=b"", told_bytes=500, end=End.HOLD),
    "a head byte by byte": Turn(body=b" " * 500, drip_head=True),
    "a body byte by byte": Turn(body=b" " * 500, drip_body=True),
    "a refusal byte by byte": Turn(status=503, body=b" " * 500, drip_body=True),
}
"""Each would take far longer than the laws allow it."""


class RemoteProtocolLaws:
    """What every remote protocol does, through `RemoteModel`.

    A subclass gives five fixtures: `wire`, the protocol; `local`, a text model opened here with the
    labels `positive`, `other` and `negative` in this order; `endpoint`, the URL of a server that
    answers by the protocol from the same model; `model_name`, its name there; and
    `carries_probabilities`, whether the protocol tells those of all labels. It may have another
    `open_lane`, for the asynchronous face.
    """

    def open_lane(self, url: str) -> Lane:
        return HttpxLane(url)

    @pytest.fixture
    def open_remote(
        self, wire: Wire, local: LocalModel, endpoint: str, model_name: str
    ) -> Callable[..., RemoteModel]:
        """Give a maker of clients; with a URL, of another endpoint."""

        def make(url: str = endpoint, **more: Any) -> RemoteModel:
            given = {"labels": local.labels, "model": model_name, "api_key": KEY, **more}
            return RemoteModel(url, protocol=wire.name, lane=self.open_lane, **given)

        return make

    @pytest.fixture
    def right_answer(self, wire: Wire, local: LocalModel, endpoint: str, model_name: str) -> bytes:
        """Give the server's own bytes for `PAYLOAD`."""
        body = wire.encode([{"text": PAYLOAD}], model_name, local.labels)
        request = Request(
            endpoint + wire.path(model_name),
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json", "authorization": f"Bearer {KEY}"},
        )
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            return bytes(answer.read())

    @pytest.mark.parametrize("face", FACES)
    def test_answers_equal_those_of_the_local_model(
        self,
        open_remote: Callable[..., RemoteModel],
        local: LocalModel,
        carries_probabilities: bool,
        face: str,
    ) -> None:
        inputs = _inputs((*TEXTS, *STRANGE_TEXTS, "good " * 20_000 + "bad " * 3))

        (found,) = _outcomes(face, open_remote(), inputs)

        assert not isinstance(found, EdgewiseError)
        expected = [local.predict(one) for one in inputs]
        assert [one.label for one in found] == [one.label for one in expected]
        for near, far in zip(expected, found, strict=True):
            assert far.confidence == pytest.approx(near.confidence, abs=1e-6)
            told = near.probabilities if carries_probabilities else ()
            assert far.probabilities == pytest.approx(told, abs=1e-6)

    @pytest.mark.parametrize("face", FACES)
    def test_a_batch_equals_its_singles_in_order(
        self, open_remote: Callable[..., RemoteModel], face: str
    ) -> None:
        inputs = _inputs(TEXTS * 8)

        (batch,) = _outcomes(face, open_remote(), inputs)
        singles = [_outcomes(face, open_remote(), [one])[0] for one in inputs[: len(TEXTS)]]

        assert batch == [answer for single in singles * 8 for answer in _answers(single)]

    @pytest.mark.parametrize("face", FACES)
    def test_labels_may_come_in_any_order(
        self,
        open_remote: Callable[..., RemoteModel],
        local: LocalModel,
        carries_probabilities: bool,
        face: str,
    ) -> None:
        inputs = _inputs(TEXTS)
        expected = [local.predict(one) for one in inputs]

        for labels in itertools.permutations(local.labels):
            found = _answers(_outcomes(face, open_remote(labels=labels), inputs)[0])

            assert [one.label for one in found] == [one.label for one in expected]
            if carries_probabilities:
                for near, far in zip(expected, found, strict=True):
                    by_name = dict(zip(local.labels, near.probabilities, strict=True))
                    shares = dict(zip(labels, far.probabilities, strict=True))
                    assert shares == pytest.approx(by_name, abs=1e-6)

    def test_a_caller_without_labels_gets_the_same_ones(
        self, open_remote: Callable[..., RemoteModel], local: LocalModel
    ) -> None:
        inputs = _inputs(("good", "awful"))

        found = _answers(_outcomes("predict_many", open_remote(labels=()), inputs)[0])

        assert [one.label for one in found] == [local.predict(one).label for one in inputs]
        assert all(one.probabilities == () for one in found)

    @pytest.mark.parametrize("face", FACES)
    def test_no_inputs_are_no_call(
        self, open_remote: Callable[..., RemoteModel], face: str
    ) -> None:
        with RawEndpoint([Turn()]) as server:
            (found,) = _outcomes(face, open_remote(server.url), [])

        assert found == []
        assert server.asked == []

    @pytest.mark.parametrize("text", STRANGE_TEXTS)
    def test_texts_arrive_as_they_are(
        self, open_remote: Callable[..., RemoteModel], right_answer: bytes, text: str
    ) -> None:
        with RawEndpoint([Turn(body=right_answer)]) as server:
            _outcomes("predict_many", open_remote(server.url), [{"text": text}])

        assert text in _strings(json.loads(server.asked[0].body))

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("one", [{}, {"text": 5}, {"text": None}, {"text": "\ud800"}])
    def test_an_input_that_can_not_be_sent_is_invalid_data(
        self, open_remote: Callable[..., RemoteModel], face: str, one: Input
    ) -> None:
        with RawEndpoint([Turn()]) as server:
            (found,) = _outcomes(face, open_remote(server.url), [one])

        assert type(found) is InvalidData
        assert found.what
        assert found.where == "input"
        assert found.hint
        assert server.asked == []

    @pytest.mark.parametrize("face", FACES)
    def test_connections_are_used_again(
        self, open_remote: Callable[..., RemoteModel], right_answer: bytes, face: str
    ) -> None:
        busy, good = _refusal(503), Turn(body=right_answer)
        with RawEndpoint([good, busy, good]) as server:
            found = _outcomes(face, open_remote(server.url), [{"text": PAYLOAD}], times=5)

        assert [isinstance(one, EdgewiseError) for one in found] == [False, True, *[False] * 3]
        assert [one.connection for one in server.asked] == [1] * 5

    def test_the_key_is_sent_only_where_there_is_one(
        self, open_remote: Callable[..., RemoteModel], right_answer: bytes
    ) -> None:
        with RawEndpoint([Turn(body=right_answer)]) as server:
            for key in (KEY, None):
                model = open_remote(server.url, api_key=key)
                _outcomes("predict_many", model, [{"text": PAYLOAD}])

        sent = [one.headers.get("authorization") for one in server.asked]
        assert sent == [f"Bearer {KEY}", None]

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("name", REFUSALS)
    def test_a_refusal_is_told_by_its_status(
        self, open_remote: Callable[..., RemoteModel], face: str, name: str
    ) -> None:
        turn = REFUSALS[name]
        with RawEndpoint([turn]) as server:
            (found,) = _outcomes(face, open_remote(server.url), [{"text": PAYLOAD}])

        failure = _expect_told(found, server.url)
        assert failure.what == f"answered HTTP {turn.status}"
        assert failure.status == turn.status
        assert failure.retry_after_s == (7.0 if "retry-after" in name else None)

    @pytest.mark.parametrize("face", FACES)
    def test_a_redirect_is_not_followed(
        self, open_remote: Callable[..., RemoteModel], right_answer: bytes, face: str
    ) -> None:
        with RawEndpoint([Turn(body=right_answer)]) as other:
            with RawEndpoint([_refusal(308, ("location", other.url))]) as server:
                (found,) = _outcomes(face, open_remote(server.url), [{"text": PAYLOAD}])

            assert _expect_told(found, server.url).status == 308
            assert other.asked == []

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("name", NONSENSE)
    def test_nonsense_is_a_remote_error(
        self, open_remote: Callable[..., RemoteModel], face: str, name: str
    ) -> None:
        with RawEndpoint([NONSENSE[name]]) as server:
            (found,) = _outcomes(face, open_remote(server.url), [{"text": PAYLOAD}])

        assert _expect_told(found, server.url).status == 200

    @pytest.mark.parametrize("name", SPOILED)
    def test_a_spoiled_answer_is_a_remote_error(
        self, open_remote: Callable[..., RemoteModel], right_answer: bytes, name: str
    ) -> None:
        body = json.dumps(_changed(json.loads(right_answer), SPOILED[name])).encode()

        with RawEndpoint([Turn(body=body)]) as server:
            (found,) = _outcomes("predict_many", open_remote(server.url), [{"text": PAYLOAD}])

        assert _expect_told(found, server.url).status == 200

    @pytest.mark.parametrize("kept_share", [0.1, 0.5, 0.9])
    def test_a_truncated_answer_is_a_remote_error(
        self, open_remote: Callable[..., RemoteModel], right_answer: bytes, kept_share: float
    ) -> None:
        body = right_answer[: int(kept_share * len(right_answer))]

        with RawEndpoint([Turn(body=body)]) as server:
            (found,) = _outcomes("predict_many", open_remote(server.url), [{"text": PAYLOAD}])

        assert "no JSON" in _expect_told(found, server.url).what

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("name", BROKEN)
    def test_a_broken_connection_is_a_remote_error_and_the_next_call_makes_another(
        self, open_remote: Callable[..., RemoteModel], right_answer: bytes, face: str, name: str
    ) -> None:
        with RawEndpoint([BROKEN[name], Turn(body=right_answer)]) as server:
            first, second = _outcomes(face, open_remote(server.url), [{"text": PAYLOAD}], times=2)

        failure = _expect_told(first, server.url)
        assert failure.status is None
        assert "the connection broke" in failure.what
        assert len(_answers(second)) == 1

    @pytest.mark.parametrize("face", FACES)
    def test_a_port_where_nobody_listens_is_a_remote_error(
        self, open_remote: Callable[..., RemoteModel], face: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        (found,) = _outcomes(face, open_remote(url), [{"text": PAYLOAD}])

        failure = _expect_told(found, url)
        assert failure.status is None
        assert "can't be reached" in failure.what

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("told_bytes", [None, 10**15])
    def test_an_endless_answer_is_cut_off(
        self, open_remote: Callable[..., RemoteModel], face: str, told_bytes: int | None
    ) -> None:
        endless = Turn(body=b" " * 1_000_000, times=20_000)
        if told_bytes is not None:
            endless = Turn(body=b" " * 30_000_000, told_bytes=told_bytes, end=End.HOLD)

        with RawEndpoint([endless]) as server:
            (found,) = _outcomes(face, open_remote(server.url), [{"text": PAYLOAD}])
            assert server.client_left.wait(10)

        assert _expect_told(found, server.url).what == "the answer is too large"
        assert server.sent_bytes < 64_000_000

    @pytest.mark.parametrize("face", FACES)
    @pytest.mark.parametrize("name", SLOW)
    def test_the_deadline_is_kept_and_the_connection_freed(
        self, open_remote: Callable[..., RemoteModel], face: str, name: str
    ) -> None:
        with RawEndpoint([SLOW[name]]) as server:
            model = open_remote(server.url)
            start_s = time.perf_counter()
            (found,) = _outcomes(face, model, [{"text": PAYLOAD}], timeout_ms=_LIMIT_MS)
            took_ms = (time.perf_counter() - start_s) * 1000
            assert server.client_left.wait(10)

        assert type(found) is DeadlineExceeded
        _expect_no_secret(found)
        assert (found.what, found.where) == ("no answer within 250 ms", model.where)
        assert found.hint
        assert _LIMIT_MS <= took_ms < _LIMIT_MS + _SLACK_MS

    def test_a_cancelled_call_frees_its_connection(
        self, open_remote: Callable[..., RemoteModel]
    ) -> None:
        async def cancel(server: RawEndpoint) -> None:
            model = open_remote(server.url)
            asking = asyncio.create_task(model.apredict({"text": PAYLOAD}))
            assert await asyncio.to_thread(server.asked_one.wait, 10)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await asyncio.to_thread(server.client_left.wait, 10)
            await model.aclose()

        with RawEndpoint([SLOW["silence"]]) as server:
            asyncio.run(cancel(server))

    @pytest.mark.parametrize("face", FACES)
    def test_a_batch_that_fails_raises_one_error_of_ours(
        self, open_remote: Callable[..., RemoteModel], face: str
    ) -> None:
        with RawEndpoint([_refusal(503)]) as server:
            (found,) = _outcomes(face, open_remote(server.url), _inputs(TEXTS))

        assert _expect_told(found, server.url).status == 503


def _inputs(texts: Sequence[str]) -> list[Input]:
    return [{"text": text} for text in texts]


def _outcomes(
    face: str,
    model: RemoteModel,
    inputs: Sequence[Input],
    *,
    times: int = 1,
    timeout_ms: float | None = None,
) -> list[Outcome]:
    """Call one face some times, close the model, and give what came of each call."""

    async def call_all() -> list[Outcome]:
        found: list[Outcome] = []
        try:
            for _ in range(times):
                try:
                    found.append(await model.apredict_many(inputs, timeout_ms=timeout_ms))
                except EdgewiseError as failure:
                    found.append(failure)
        finally:
            await model.aclose()
        return found

    if face == "apredict_many":
        return asyncio.run(call_all())
    found: list[Outcome] = []
    try:
        for _ in range(times):
            try:
                found.append(model.predict_many(inputs, timeout_ms=timeout_ms))
            except EdgewiseError as failure:
                found.append(failure)
    finally:
        model.close()
    return found


def _answers(outcome: Outcome) -> list[Prediction]:
    if isinstance(outcome, EdgewiseError):
        raise outcome
    return outcome


def _expect_told(outcome: Outcome, url: str) -> RemoteError:
    """Check that an outcome is a `RemoteError` with all of its parts and no secret."""
    assert type(outcome) is RemoteError
    assert outcome.what
    assert outcome.where.startswith(url)
    assert outcome.hint
    _expect_no_secret(outcome)
    return outcome


def _expect_no_secret(failure: EdgewiseError) -> None:
    shown = "".join(traceback.format_exception(failure)) + repr(failure)
    assert KEY not in shown
    assert PAYLOAD not in shown


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """Give a JSON value with its leaves changed."""
    if isinstance(value, dict):
        return {key: _changed(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    return change(value)


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for one in value.values() for found in _strings(one)]
    if isinstance(value, list):
        return [found for one in value for found in _strings(one)]
    return [value] if isinstance(value, str) else []
