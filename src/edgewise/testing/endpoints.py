"""Loopback servers for tests: one that does anything wrong on demand, one that speaks OpenAI.

Both are context managers over real sockets. Nothing here sleeps but to send slowly.
"""

import json
import math
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, Self

from edgewise.records import Input, Prediction

_JSON = (("content-type", "application/json"),)
_DRIP_S = 0.02


class End(Enum):
    """What becomes of a connection after a turn's bytes."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    HOLD = "hold"
    """Nothing more is sent, and it stays open until the client goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a `RawEndpoint` does with one request."""

    status: int | None = 200
    """`None` sends nothing at all."""
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = _JSON
    told_bytes: int | None = None
    """The `content-length` where it is not the body's."""
    times: int = 1
    """How often the body is sent, in chunks; the endless ones end when the client goes."""
    drip_head: bool = False
    """Send a byte now and then, from the first on."""
    drip_body: bool = False
    end: End = End.KEEP

    def head(self) -> bytes:
        """Give the status line and the headers."""
        size = len(self.body) if self.told_bytes is None else self.told_bytes
        length = ("transfer-encoding", "chunked") if self.times > 1 else ("content-length", size)
        lines = [f"HTTP/1.1 {self.status} Turn"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, length)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    connection: int
    """From 1 in the order in which they were opened."""


class RawEndpoint:
    """A server that does to each request what its script says; the last turn is for all later.

    `asked_one` is set when a request has come, `client_left` when a client has closed a connection
    on which an answer was under way or held back.
    """

    def __init__(self, script: Sequence[Turn]) -> None:
        self.asked: list[Asked] = []
        self.sent_bytes = 0
        self.asked_one, self.client_left = threading.Event(), threading.Event()
        self._script = list(script)
        self._closing = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in (self._listening, *self._open):
            one.close()

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self._start(self._serve, connection, len(self._open))

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection.makefile("rb") as stream:
            while (asked := _read_request(stream, number)) is not None:
                self.asked.append(asked)
                turn = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                self.asked_one.set()
                if not self._answer(connection, turn):
                    return

    def _answer(self, connection: socket.socket, turn: Turn) -> bool:
        """Carry out a turn; say whether the connection goes on."""
        try:
            for part in _parts(turn):
                connection.sendall(part)
                self.sent_bytes += len(part)
                if len(part) == 1 and self._closing.wait(_DRIP_S):
                    return False
            if turn.end is End.HOLD and not connection.recv(1):
                self.client_left.set()
        except OSError:
            self.client_left.set()
            return False
        if turn.end is End.KEEP:
            return True
        if turn.end is End.RESET:
            # Closing with unsent time 0 sends RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.shutdown(socket.SHUT_RDWR)
        return False


def _read_request(stream: Any, number: int) -> Asked | None:
    if not stream.readline():
        return None
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Asked(headers, stream.read(int(headers.get("content-length", 0))), number)


def _parts(turn: Turn) -> Iterator[bytes]:
    if turn.status is None:
        return
    head = turn.head()
    if turn.times > 1:
        yield head
        chunk = b"%x\r\n%b\r\n" % (len(turn.body), turn.body)
        for _ in range(turn.times):
            yield chunk
        yield b"0\r\n\r\n"
    elif turn.drip_head or turn.drip_body:
        slow = head + turn.body if turn.drip_head else turn.body
        yield b"" if turn.drip_head else head
        yield from (slow[i : i + 1] for i in range(len(slow)))
    else:
        yield head + turn.body


class Answers(Protocol):
    """A model that can stand behind an endpoint, such as a `LocalModel`."""

    labels: tuple[str, ...]

    def predict(self, one: Input) -> Prediction:
        """Answer one input."""
        ...


@contextmanager
def openai_endpoint(model: Answers, *, name: str, api_key: str | None = None) -> Iterator[str]:
    """Serve a classifier as OpenAI's chat completions do; give its URL.

    The last message's content is classified. The answer is the label, in two tokens whose
    probabilities multiply to the model's confidence, and these are told where `logprobs` is asked.
    Errors are objects with `error.message`, as OpenAI's are.
    """
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            received = self.rfile.read(int(self.headers["content-length"]))
            if api_key and self.headers.get("authorization") != f"Bearer {api_key}":
                return self._give(401, _openai_error("no such key", "invalid_api_key"))
            if self.path != "/v1/chat/completions":
                return self._give(404, _openai_error("no such path", "not_found"))
            try:
                body = json.loads(received)
                text = body["messages"][-1]["content"]
                known = body["model"] == name
            except (ValueError, KeyError, TypeError, IndexError):
                return self._give(400, _openai_error("no chat completion request", "invalid"))
            if not known:
                return self._give(404, _openai_error("no such model", "model_not_found"))
            with turn:
                answer = model.predict({"text": text})
            return self._give(200, _completion(answer, name, told=body.get("logprobs") is True))

        def _give(self, status: int, body: Any) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def _completion(answer: Prediction, name: str, *, told: bool) -> dict[str, Any]:
    half = (len(answer.label) + 1) // 2
    tokens = [part for part in (answer.label[:half], answer.label[half:]) if part]
    log_share = math.log(max(answer.confidence, 1e-300)) / len(tokens)
    content = [
        {"token": part, "logprob": log_share, "bytes": list(part.encode()), "top_logprobs": []}
        for part in tokens
    ]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.label, "refusal": None},
        "logprobs": {"content": content, "refusal": None} if told else None,
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 1, "completion_tokens": len(tokens), "total_tokens": 1 + len(tokens)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": name,
        "choices": [choice],
        "usage": usage,
    }


def _openai_error(message: str, code: str) -> dict[str, Any]:
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
