"""The server's HTTP by raw sockets: what is strict, what is bounded, what is kept in order."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from gateways import Running, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewise.gateway.http import HttpLimits
from edgewise.gateway.messages import Response, head_of, line_safe
from edgewise.gateway.settings import AdmissionRules, Settings
from edgewise.route import HybridInferenceEngine
from edgewise.testing.models import tiny_text_bundle

pytestmark = pytest.mark.integration

LIMITS = HttpLimits(head_bytes=4096, body_bytes=2000, read_s=0.3, idle_s=0.6, connections=20)
BODY = b'{"text":"good"}'
HOST = b"host: localhost\r\n"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tiny_text_bundle(tmp_path_factory.mktemp("http") / "tiny")
    with running(
        lambda log: HybridInferenceEngine(folder, decision_log=log), limits=LIMITS
    ) as made:
        yield made


def post(body: bytes = BODY, head: bytes = b"") -> bytes:
    length = b"content-length: %d\r\n" % len(body)
    return b"POST /predict HTTP/1.1\r\n" + HOST + head + length + b"\r\n" + body


def talk(one: Running, sent: bytes, *, until_closed: bool = True) -> bytes:
    """Send bytes and give all that comes back until the server closes the connection."""
    host, port = one.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as client:
        client.sendall(sent)
        received = b""
        while part := client.recv(65536):
            received += part
            if not until_closed and b"\r\n\r\n" in received:
                break
    return received


def statuses(received: bytes) -> list[int]:
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"transfer-encoding: chunked\r\n", 400),
        (b"content-length: 15\r\n", 400),
        (b"content-length: +15\r\n", 400),
        (b"transfer-encoding: xchunked\r\n", 400),
        (b"host: other\r\n", 400),
        (b"upgrade: websocket\r\nconnection: upgrade\r\n", 400),
        (b"upgrade: h2c\r\nconnection: upgrade\r\ntransfer-encoding: chunked\r\n", 400),
        (b"upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 15\r\n", 400),
        (b"x y: 1\r\n", 400),
        (b"x: a\x00b\r\n", 400),
        (b"".join(b"x-%d: 1\r\n" % n for n in range(120)), 431),
        (b"x: " + b"y" * 5000 + b"\r\n", 431),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(
    one: Running, head: bytes, status: int
) -> None:
    received = talk(one, post(head=head))

    assert statuses(received) == [status]
    assert b"connection: close" in received


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /predict HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\n" + HOST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_1_is_refused(one: Running, sent: bytes) -> None:
    assert statuses(talk(one, sent)) == [400]


def test_a_request_hidden_in_another_is_never_answered(one: Running) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    sent = post(body=b"0\r\n\r\n" + hidden, head=b"transfer-encoding: chunked\r\n")

    assert statuses(talk(one, sent)) == [400]


def test_bodies_are_bounded_however_their_length_is_told(one: Running) -> None:
    told = talk(one, post(body=b" " * 2001))
    chunked = b"POST /predict HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n"
    untold = talk(one, chunked + b"7d0\r\n" + b" " * 2000 + b"\r\n1\r\n \r\n0\r\n\r\n")
    huge = talk(one, post(head=b"").replace(b"length: 15", b"length: 99999999999999999999"))

    assert statuses(told) == [413]
    assert statuses(untold) == [413]
    assert statuses(huge)[0] in (400, 413)


def test_who_sends_too_much_reads_why(one: Running) -> None:
    host, port = one.url.removeprefix("http://").split(":")
    large = bytes(1_000_000)
    with closing(socket.create_connection((host, int(port)), timeout=10)) as client:
        client.sendall(post(body=b"").replace(b"length: 0", b"length: 9000000"))
        for _ in range(9):
            client.sendall(large)
        received = client.recv(65536)

    assert statuses(received) == [413]


def send_on(client: socket.socket) -> None:
    while True:
        client.sendall(bytes(10_000))


def test_who_goes_on_sending_too_much_is_cut_off(one: Running) -> None:
    host, port = one.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as client:
        client.sendall(post(body=b"").replace(b"length: 0", b"length: 9000000"))
        while client.recv(65536):
            pass
        with pytest.raises(OSError, match=r"reset|pipe"):
            send_on(client)


def test_a_chunked_body_is_read(one: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\n" + HOST + b"connection: close\r\n"
    sent = head + b"transfer-encoding: chunked\r\n\r\n4\r\n" + BODY[:4] + b"\r\nb\r\n" + BODY[4:]

    received = talk(one, sent + b"\r\n0\r\n\r\n")

    assert statuses(received) == [200]
    assert b'"label":"positive"' in received


def test_what_follows_a_body_is_no_header(one: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\n" + HOST + b"connection: close\r\n"
    body = b"transfer-encoding: chunked\r\n\r\nf\r\n" + BODY + b"\r\n0\r\n"

    received = talk(one, head + body + b"x-edgewise-deadline-ms: soon\r\n\r\n")

    assert statuses(received) == [200]


def test_requests_sent_at_once_are_answered_in_turn(one: Running) -> None:
    asked = [b"good", b"bad"] * 15
    sent = b"".join(post(b'{"text":"%b"}' % word) for word in asked)
    last = b"GET /healthz HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"

    received = talk(one, sent + last)

    assert statuses(received) == [200] * 31
    labels = [
        b"positive" if b'"label":"positive"' in part else b"negative"
        for part in received.split(b"HTTP/1.1 ")[1:-1]
    ]
    assert labels == [b"positive" if word == b"good" else b"negative" for word in asked]


def test_a_request_that_does_not_come_is_not_waited_for(one: Running) -> None:
    slow_head = talk(one, b"POST /predict HTTP/1.1\r\nhost:")
    slow_body = talk(one, post()[:-4])
    silent = talk(one, b"")

    assert statuses(slow_head) == [408]
    assert statuses(slow_body) == [408]
    assert silent == b""


def test_a_body_is_asked_for_where_the_client_waits_to_be_asked(one: Running) -> None:
    received = talk(one, post(head=b"expect: 100-continue\r\nconnection: close\r\n"))

    assert statuses(received) == [100, 200]


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_an_offer_of_http_2_is_declined_and_the_request_answered(one: Running, pieces: int) -> None:
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    chunked = post(body=b"", head=b"transfer-encoding: chunked\r\n" + offer)
    chunked = chunked.replace(b"content-length: 0\r\n", b"") + b"f\r\n" + BODY + b"\r\n0\r\n\r\n"
    last = post(head=offer.replace(b"Upgrade,", b"close, Upgrade,"))
    sent = post(head=offer) + chunked + b"GET /healthz HTTP/1.1\r\n" + HOST + offer + b"\r\n" + last

    host, port = one.url.removeprefix("http://").split(":")
    received, size = b"", len(sent) // pieces + 1
    with closing(socket.create_connection((host, int(port)), timeout=10)) as client:
        for at in range(0, len(sent), size):
            client.sendall(sent[at : at + size])
        while part := client.recv(65536):
            received += part

    assert statuses(received) == [200, 200, 200, 200]
    assert received.count(b'"location":"edge"') == 3


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://127.0.0.1:80/healthz", 200),
        (b"HTTP://127.0.0.1/healthz?a=http://b/", 200),
        (b"https://me@127.0.0.1/metrics", 200),
        (b"http://elsewhere.example/metrics", 421),
        (b"http://127.0.0.1", 404),
        (b"http://127.0.0.1?q=/metrics", 404),
        (b"ftp://127.0.0.1/healthz", 404),
    ],
)
def test_a_target_with_its_host_is_understood_and_that_host_counts(
    one: Running, target: bytes, status: int
) -> None:
    host = b"host: elsewhere.example\r\nconnection: close\r\n\r\n"

    received = talk(one, b"GET " + target + b" HTTP/1.1\r\n" + host)

    assert statuses(received) == [status]


def test_an_older_client_is_answered_and_let_go(one: Running) -> None:
    received = talk(one, b"GET /healthz HTTP/1.0\r\n\r\n")

    assert statuses(received) == [200]


def test_an_older_client_gets_a_stream_without_chunks(one: Running) -> None:
    body = b'{"messages":[{"role":"user","content":"good"}],"stream":true}'
    sent = b"POST /v1/chat/completions HTTP/1.0\r\nconnection: keep-alive\r\n"

    received = talk(one, sent + b"content-length: %d\r\n\r\n" % len(body) + body)

    head, _, stream = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert stream.startswith(b"data: {")
    assert stream.endswith(b"data: [DONE]\n\n")


def test_an_older_client_that_wants_to_stay_is_told_that_it_may(one: Running) -> None:
    look = b"GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"

    received = talk(one, look + look.replace(b"keep-alive", b"close"))

    assert statuses(received) == [200, 200]
    assert received.count(b"connection: keep-alive\r\n") == 1


def test_an_older_client_is_not_asked_for_its_body(one: Running) -> None:
    received = talk(one, post(head=b"expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert statuses(received) == [200]


def test_a_head_is_answered_without_a_body(one: Running) -> None:
    sent = b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"

    received = talk(one, sent)

    assert received.endswith(b"\r\n\r\n")
    assert b"content-length: 26" in received


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/models/../../etc/passwd",
        b"/v2/models/..%2f..%2fetc%2fpasswd",
        b"/v2/models/%00",
        b"/v2/models/tiny/versions/../1",
        b"//etc/passwd",
        b"/%2e%2e/%2e%2e",
        b"http://127.0.0.1/v2/../x",
    ],
)
def test_names_in_paths_are_compared_and_lead_nowhere(one: Running, path: bytes) -> None:
    sent = b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"

    assert statuses(talk(one, sent)) == [404]


def test_a_value_can_not_end_its_header() -> None:
    evil = "edge\r\nset-cookie: a=b\r\n\r\n<html>"

    head = head_of(Response(headers=[("x-edgewise-location", evil)]), "", close=False)

    assert head.count(b"\r\n") == 5
    assert "\n" not in line_safe(evil)
    assert line_safe("naïve") == "na%C3%AFve"


@given(st.lists(st.binary(max_size=40), max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_are_answered_by_a_failure(one: Running, parts: list[bytes]) -> None:
    sent = b"".join(parts)

    received = talk(one, sent + b"\r\n\r\n\r\n", until_closed=True)

    assert all(status < 500 for status in statuses(received))


def test_connections_beyond_the_bound_are_closed(tmp_path: Path) -> None:
    folder = tiny_text_bundle(tmp_path / "tiny")
    few = HttpLimits(connections=2)
    with running(lambda log: HybridInferenceEngine(folder, decision_log=log), limits=few) as made:
        host, port = made.url.removeprefix("http://").split(":")
        held = [socket.create_connection((host, int(port))) for _ in range(2)]
        for client in held:
            client.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        third = talk(made, b"")
        for client in held:
            client.close()

    assert third == b""


def test_what_was_sent_at_once_is_refused_in_turn_where_there_is_no_place(tmp_path: Path) -> None:
    folder = tiny_text_bundle(tmp_path / "tiny")
    one_place = Settings(admission=AdmissionRules(most_in_flight=1))
    look = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    with running(
        lambda log: HybridInferenceEngine(folder, decision_log=log), settings=one_place
    ) as made:
        assert made.gateway.admission.enter()  # somebody has the one place
        received = talk(made, look + post() * 1500 + post(head=b"connection: close\r\n"))
        older = post(head=b"connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
        let_go = talk(made, older)
        chat = post(head=b"connection: close\r\n").replace(b"/predict", b"/v1/chat/completions")
        of_chat = talk(made, chat)
        made.gateway.admission.leave()

    error = json.loads(of_chat.partition(b"\r\n\r\n")[2])["error"]
    assert (error["type"], error["message"][:22]) == ("server_error", "too much is under way;")
    assert statuses(received) == [200] + [503] * 1501
    assert received.count(b"retry-after: 1\r\n") == 1501
    assert statuses(let_go) == [503]
