"""The client over HTTP: what belongs to no protocol."""

import threading

import pytest

from edgewise.errors import EdgewiseError, RemoteError, UsageError
from edgewise.runtimes import RemoteModel
from edgewise.runtimes.blocking import Blocking
from edgewise.testing.endpoints import RawEndpoint, Turn

ANSWER = Turn(body=b'{"label": "yes", "confidence": 0.9}')
ONE = {"text": "quite a film"}


def refused(*headers: tuple[str, str]) -> RemoteError:
    with RawEndpoint([Turn(status=503, headers=headers)]) as server:
        model = RemoteModel(server.url)
        with pytest.raises(RemoteError) as caught:
            model.predict(ONE)
        model.close()
    return caught.value


@pytest.mark.parametrize(("told", "seconds"), [("0", 0.0), ("120", 120.0), (" 7 ", 7.0)])
def test_retry_after_in_seconds_is_read(told: str, seconds: float) -> None:
    assert refused(("retry-after", told)).retry_after_s == seconds


@pytest.mark.parametrize(("until", "seconds"), [("08:49:47", 10.0), ("08:49:30", 0.0)])
def test_retry_after_as_a_date_counts_from_the_answers_own(until: str, seconds: float) -> None:
    date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT")

    failure = refused(date, ("retry-after", f"Sun, 06 Nov 1994 {until} GMT"))

    assert failure.retry_after_s == seconds


@pytest.mark.parametrize("told", ["", "soon", "-3", "1.5", "nan", "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_a_retry_after_that_says_nothing_is_left_out(told: str) -> None:
    assert refused(("retry-after", told)).retry_after_s is None


@pytest.mark.parametrize("key", ["two words", "line\n", "schlüssel", "tab\t"])
def test_a_key_that_http_can_not_send_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        RemoteModel("https://host", api_key=key)

    assert caught.value.where == "api_key"
    assert caught.value.hint == "give the key alone"
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host",
        "ftp://host",
        "http://",
        "http://[::1",
        "http://a b/",
        "http://h:99999/",
        "http://:8",
        "http://host/\n",
        "http://user:secret@/",
    ],
)
def test_what_is_no_url_is_named_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        RemoteModel(url)

    assert caught.value.what == "not an http or https URL"
    assert caught.value.where == "endpoint"
    assert "https://" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_host_name_that_can_not_be_is_an_error_of_ours() -> None:
    model = RemoteModel(f"http://{'x' * 80}.invalid:8000")

    with pytest.raises(EdgewiseError) as caught:
        model.predict(ONE)
    model.close()

    assert caught.value.hint


async def test_the_blocking_face_works_where_a_loop_runs() -> None:
    with RawEndpoint([ANSWER]) as server:
        model = RemoteModel(server.url)
        near = model.predict(ONE)
        far = await model.apredict(ONE)
        await model.aclose()

    assert near == far


def test_many_threads_share_the_blocking_face() -> None:
    found: list[str] = []
    with RawEndpoint([ANSWER]) as server:
        model = RemoteModel(server.url)
        threads = [
            threading.Thread(target=lambda: found.append(model.predict(ONE).label))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        model.close()

    assert found == ["yes"] * 8


def test_a_model_can_be_used_again_after_it_was_closed() -> None:
    with RawEndpoint([ANSWER]) as server:
        model = RemoteModel(server.url)
        labels = []
        for _ in range(2):
            labels.append(model.predict(ONE).label)
            model.close()
        model.close()

    assert labels == ["yes", "yes"]


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with RawEndpoint([ANSWER]) as server:
        model = RemoteModel(server.url)
        model.predict(ONE)
        model.close()

    assert threading.active_count() == before


def test_a_forgotten_loop_ends_when_told() -> None:
    blocking = Blocking()

    async def name() -> str:
        return threading.current_thread().name

    assert blocking.run(name()) == "edgewise-calls"
    assert blocking.lives_here
    blocking.close()
    blocking.stop()
    blocking.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_is_for_this_machine_passes_no_proxy(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with RawEndpoint([ANSWER]) as server, RawEndpoint([ANSWER]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        model = RemoteModel(server.url.replace("127.0.0.1", host))
        model.predict(ONE)
        model.close()

        assert (len(server.asked), len(proxy.asked)) == (1, 0)


def test_what_is_for_another_machine_goes_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawEndpoint([ANSWER]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        model = RemoteModel("http://site.example")
        model.predict(ONE)
        model.close()

        assert len(proxy.asked) == 1
