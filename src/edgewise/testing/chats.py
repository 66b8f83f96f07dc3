"""A text model's endpoint for tests: a real HTTP server that speaks OpenAI's chat completions.

It answers whole and in pieces, tells log-probabilities and tokens, asks for tools, and fails where
its script says: before the answer, in the middle of it, or by silence.
"""

import json
import math
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from edgewise.errors import EdgewiseError
from edgewise.records import Input, Prediction, TextChunk
from edgewise.route import Clock
from edgewise.runtimes.chat_wire import prediction_of
from edgewise.runtimes.gathering import Gathered


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What a `ChatEndpoint` answers to one request."""

    tokens: tuple[str, ...] = ("Hello", ", ", "world", "!")
    logprobs: tuple[float, ...] | None = None
    """Of each token; `None` is -0.1 each, and an empty tuple tells none."""
    margin: float = 0.5
    """By how much the share of a token leads that of the next best."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Names and arguments of calls of tools."""
    custom: bool = False
    """Whether those tools are of type `custom`, and their arguments any text."""
    refusal: tuple[str, ...] = ()
    """Words of a refusal, in place of a text."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    usage: bool = True
    input_tokens: int = 7
    cached_tokens: int = 0
    break_after: int | None = None
    """Pieces after which the connection is cut."""
    fail_after: int | None = None
    """Pieces after which the stream tells of an error."""
    hold_after: int | None = None
    """Pieces after which nothing is sent until `let_go` is set, or the client goes."""
    streams: bool = True
    """Whether it obeys `stream`; else the answer comes whole."""

    def shares(self) -> tuple[float, ...]:
        """Give the log-probability of each token."""
        return (-0.1,) * len(self.tokens) if self.logprobs is None else self.logprobs


@dataclass(slots=True)
class ChatEndpoint:
    """Answers as its script says, the last for all later; a context manager.

    With `answer`, that says what to answer to a request's body instead.

    `bodies` and `headers` hold what was asked. `sent` counts pieces, `client_left` is set when a
    client went before its answer was whole.
    """

    script: Sequence[Saying] = (Saying(),)
    answer: Callable[[Any], Saying] | None = None
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    client_left: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    _server: Any = None
    _thread: threading.Thread | None = None
    _turns: list[Saying] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._turns = list(self.script)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        if self._thread is not None:
            self._thread.join()

    def next_turn(self, body: Any) -> Saying:
        """Give what is to be answered now."""
        if self.answer is not None:
            return self.answer(body)
        return self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]


class FakeTextTier:
    """A tier that says its pieces in virtual time, and fails where its script says.

    Parameters
    ----------
    script
        For each call pieces to give or errors to raise, in order; the last one is for all later.
    """

    remote = True
    ready = True

    def __init__(self, clock: Clock, script: Sequence[Sequence[TextChunk | EdgewiseError]]) -> None:
        self.script = list(script)
        self.asked: list[Input] = []
        self.open = 0
        """Streams that were begun and not ended or closed."""
        self._clock = clock

    async def stream(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> AsyncGenerator[TextChunk, None]:
        """Give the pieces of the next turn, a millisecond each."""
        del timeout_ms, request_id
        self.asked.append(one)
        turn = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.open += 1
        try:
            for piece in turn:
                await self._clock.await_(0.001)
                if isinstance(piece, EdgewiseError):
                    raise piece
                yield piece
        finally:
            self.open -= 1

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        """Give the next turn as a whole."""
        gathered = Gathered()
        async for piece in self.stream(one, timeout_ms, request_id=request_id):
            gathered.add(piece)
        return prediction_of(gathered.generation(0))

    async def probe(self, timeout_ms: float) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint: ChatEndpoint) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = endpoint


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self.send_response(405)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self._endpoint.headers.append({k.lower(): v for k, v in self.headers.items()})
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._endpoint.bodies.append(body)
        turn = self._endpoint.next_turn(body)
        if turn.status != 200:
            self._whole(turn.status, {"error": {"message": "as told"}}, turn)
        elif body.get("stream") and turn.streams:
            self._pieces(turn, body)
        else:
            if turn.hold_after is not None and not self._is_let_go():
                return
            self._whole(200, _completion(turn, body), turn)

    def _whole(self, status: int, body: Any, turn: Saying) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        for name, value in turn.headers:
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(payload)
        except OSError:
            self._endpoint.client_left.set()

    def _pieces(self, turn: Saying, body: Any) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self._events(turn, body)
        except OSError:
            self._endpoint.client_left.set()
            self.close_connection = True

    def _events(self, turn: Saying, body: Any) -> None:
        for number, piece in enumerate(_pieces_of(turn, body)):
            if number == turn.break_after:
                self.close_connection = True
                return
            if number == turn.fail_after:
                self._event(json.dumps({"error": {"message": "as told"}}))
                break
            if number == turn.hold_after:
                self._wait()
            self._event(json.dumps(piece))
            self._endpoint.sent += 1
        else:
            self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, data: str) -> None:
        payload = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(payload), payload))

    def _is_let_go(self) -> bool:
        try:
            self._wait()
        except OSError:
            self._endpoint.client_left.set()
            self.close_connection = True
            return False
        return True

    def _wait(self) -> None:
        """Wait until the test lets go, or the client is gone."""
        self._endpoint.held.set()
        self.connection.settimeout(0.01)
        try:
            while not self._endpoint.let_go.is_set():
                try:
                    gone = not self.connection.recv(1)
                except TimeoutError:
                    continue
                if gone:
                    raise ConnectionResetError
        finally:
            self.connection.settimeout(None)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    @property
    def _endpoint(self) -> ChatEndpoint:
        assert isinstance(self.server, _Server)
        return self.server.endpoint


def _told(turn: Saying, first: int, last: int) -> dict[str, Any] | None:
    shares = turn.shares()
    if not shares:
        return None
    return {"content": [_token(turn.tokens[i], shares[i], turn) for i in range(first, last)]}


def _token(text: str, logprob: float, turn: Saying) -> dict[str, Any]:
    rival = max(math.exp(logprob) - turn.margin, 1e-9)
    best = [{"token": text, "logprob": logprob}, {"token": "?", "logprob": math.log(rival)}]
    return {"token": text, "logprob": logprob, "top_logprobs": best}


def _envelope(kind: str, body: Any, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 1_700_000_000,
        "model": body.get("model", ""),
        "choices": choices,
    }


def _usage(turn: Saying) -> dict[str, Any]:
    n = len(turn.tokens)
    return {
        "prompt_tokens": turn.input_tokens,
        "completion_tokens": n,
        "total_tokens": turn.input_tokens + n,
        "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
    }


def _calls(turn: Saying) -> list[dict[str, Any]]:
    kind, words = _words(turn)
    return [
        {"index": i, "id": f"call_{i}", "type": kind, kind: {"name": name, words: arguments}}
        for i, (name, arguments) in enumerate(turn.tool_calls)
    ]


def _words(turn: Saying) -> tuple[str, str]:
    """Give how a tool's kind is called, and what it takes."""
    return ("custom", "input") if turn.custom else ("function", "arguments")


def _completion(turn: Saying, body: Any) -> dict[str, Any]:
    text = "".join(turn.tokens)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if turn.tool_calls:
        message["tool_calls"] = _calls(turn)
    if turn.refusal:
        message["refusal"] = "".join(turn.refusal)
    told = _told(turn, 0, len(turn.tokens)) if body.get("logprobs") else None
    reason = "tool_calls" if turn.tool_calls else "stop"
    choice = {"index": 0, "message": message, "logprobs": told, "finish_reason": reason}
    found = _envelope("chat.completion", body, [choice])
    return {**found, "usage": _usage(turn)} if turn.usage else found


def _pieces_of(turn: Saying, body: Any) -> list[dict[str, Any]]:
    kind = "chat.completion.chunk"

    def piece(delta: dict[str, Any], told: Any = None, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": told, "finish_reason": reason}
        return _envelope(kind, body, [choice])

    found = [piece({"role": "assistant", "content": None})]
    for i, token in enumerate(turn.tokens):
        told = _told(turn, i, i + 1) if body.get("logprobs") else None
        found.append(piece({"content": token}, told))
    found += [piece({"refusal": word}) for word in turn.refusal]
    kind_of_tool, words = _words(turn)
    for call in _calls(turn):
        name, arguments = call[kind_of_tool]["name"], call[kind_of_tool][words]
        half = len(arguments) // 2
        begun = {**call, kind_of_tool: {"name": name, words: arguments[:half]}}
        rest = {"index": call["index"], kind_of_tool: {words: arguments[half:]}}
        found += [piece({"tool_calls": [begun]}), piece({"tool_calls": [rest]})]
    found.append(piece({}, reason="tool_calls" if turn.tool_calls else "stop"))
    if turn.usage and (body.get("stream_options") or {}).get("include_usage"):
        found.append({**_envelope(kind, body, []), "usage": _usage(turn)})
    return found
