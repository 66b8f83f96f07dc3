"""The two parsers that strangers feed, and what has to hold for any bytes.

`check_http` takes a connection's bytes whole and in pieces; `check_tensors` a body of the Open
Inference Protocol with its binary part. Both return, or raise what is wrong. Hypothesis feeds them
in `tests/laws/test_parsers.py`, atheris in `tests/fuzzing.py`.
"""

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from edgewise.errors import InvalidData
from edgewise.gateway import oip
from edgewise.gateway.http import Connection, HttpLimits
from edgewise.gateway.messages import Request, Response
from edgewise.gateway.refusing import Refusal
from edgewise.gateway.tensors import as_bytes, read_inputs

LIMITS = HttpLimits(head_bytes=32_768, body_bytes=96)

HTTP_SEEDS: tuple[bytes, ...] = (
    b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /readyz HTTP/1.1\r\nhost: a\r\n\r\n",
    b'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n{"text":"good"}',
    b"POST /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\nGET /?q HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\nx",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    b"HEAD /%2e%2e/ HTTP/1.1\r\nhost: a\r\nx: \xff\r\nx: 2\r\nconnection: close\r\n\r\n",
)
_TEXTS = as_bytes("BYTES", ["good", "na\u00efve"])
_HEAD = (
    b'{"inputs":[{"name":"text","shape":[2],"datatype":"BYTES",'
    b'"parameters":{"binary_data_size":%d}}]}' % len(_TEXTS)
)
_PIXELS = bytes(range(24))
_IMAGE = (
    b'{"inputs":[{"name":"image","shape":[1,2,1,3],"datatype":"FP32",'
    b'"parameters":{"binary_data_size":24}}],"outputs":[{"name":"label"}],"id":"7"}'
)
TENSOR_SEEDS: tuple[bytes, ...] = (
    len(_HEAD).to_bytes(2, "little") + _HEAD + _TEXTS,
    len(_IMAGE).to_bytes(2, "little") + _IMAGE + _PIXELS,
    b'\xff\xff{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["good"]}]}',
    b'\xff\xff{"inputs":[{"name":"image","shape":[1,1,1,3],"datatype":"UINT8","data":[1,2,3]}]}',
    b'\xff\xff{"inputs":[{"name":"image","shape":[2,0,1,3],"datatype":"FP32","data":[[],[]]}],'
    b'"parameters":{"binary_data_output":true}}',
)


class Later:
    """An answer under way, as an event loop's task is: run by `Loop.run`."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self._after: list[Callable[[Any], object]] = []

    def cancel(self) -> None:
        self._work.close()

    def add_done_callback(self, after: Callable[[Any], object]) -> None:
        self._after.append(after)

    def run(self) -> None:
        try:
            self._work.send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("an answer at once waited")
        for after in self._after:
            after(self)


class Wire:
    """What a connection writes to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False

    def get_extra_info(self, name: str) -> None:
        del name

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closing = True

    abort = write_eof = close

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Server:
    """An application that answers at once, and notes what it was handed."""

    def __init__(self) -> None:
        self.limits = LIMITS
        self.connections: set[Any] = set()
        self.draining = self.closing_idle = False
        self.lines = ""
        self.loop = self
        self.requests: list[Request] = []
        self.later: deque[Later] = deque()

    def now_s(self) -> float:
        return 0.0

    def shed(self, request: Request) -> None:
        del request

    def on_failure(self, failure: Exception) -> None:
        raise failure

    def create_task(self, work: Coroutine[Any, Any, None]) -> Later:
        self.later.append(Later(work))
        return self.later[-1]

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(body=b"{}")

    def run(self) -> None:
        while self.later:
            self.later.popleft().run()


def handed_on(pieces: Sequence[bytes]) -> tuple[list[Request], bytes]:
    """Feed a connection, and give what reached the application and what was answered."""
    server, wire = Server(), Wire()
    one = Connection(server)  # type: ignore[arg-type]
    one.connection_made(wire)  # type: ignore[arg-type]
    for piece in pieces:
        if wire.closing:
            break
        one.data_received(piece)
        server.run()
    one.connection_lost(None)
    return server.requests, b"".join(wire.written)


def check_http(data: bytes) -> None:
    """Hold a connection's bytes against what has to be true of any."""
    cut = data[0] if data else 0
    whole, answered = handed_on([data])
    by_bytes, _ = handed_on([data[at : at + 1] for at in range(len(data))])
    in_two, _ = handed_on([data[:cut], data[cut:]] if cut else [data])
    for pieces in (by_bytes, in_two):
        # What is wrong ends a connection, and what came with it in one piece may end with it; but
        # no two ways to cut the same bytes are two different requests.
        both = min(len(whole), len(pieces))
        assert whole[:both] == pieces[:both]
    for one in (*whole, *by_bytes):
        assert len(one.body) <= LIMITS.body_bytes
        assert one.headers.get("transfer-encoding", "chunked").lower() == "chunked"
        assert not ("transfer-encoding" in one.headers and "content-length" in one.headers)
        for text in (one.path, one.query, *one.headers, *one.headers.values()):
            assert not any(sign in text for sign in "\r\n\0")
    assert not answered or answered.startswith(b"HTTP/1.1 ")
    assert answered.count(b"HTTP/1.1 500") == 0


def check_tensors(data: bytes) -> None:
    """Hold a body with tensors against what has to be true of any; two bytes say its JSON's length.

    A length of 65535 says none: all of it is JSON.
    """
    told, body = int.from_bytes(data[:2], "little"), data[2:]
    headers = {} if told == 65535 else {"inference-header-content-length": str(told)}
    request = Request(method="POST", path="/", headers=headers, body=body)
    try:
        asked, blob = oip._parted(request)
        inputs = read_inputs(asked, blob)
        oip._wanted(asked)
    except (InvalidData, Refusal):
        return
    # Nothing is made of nothing: each input, and each of its elements, came as a byte at least.
    assert len(inputs) <= len(body)
    if blob and "text" in inputs[0]:
        assert as_bytes("BYTES", [str(one["text"]) for one in inputs]) == blob
    for one in inputs:
        if "image" in one:
            assert 0 < one["image"].size <= len(body)
