"""Who is let in."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.gateway.doors import Doors, Rate
from edgewise.gateway.messages import Request
from edgewise.gateway.refusing import Refusal
from edgewise.gateway.settings import AdminRules, CallerRules, Settings


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


WEB = CallerRules(name="web", key_sha256=sha256("k-web"), requests_per_s=1.0, burst=2.0)
APP = CallerRules(name="app", key_sha256=sha256("k-app"))
KEYED = Settings(callers=(WEB, APP), admin=AdminRules(token_sha256=sha256("root")))


def ask(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method="POST", path="/predict", headers={"host": "127.0.0.1:8080", **named})


def test_a_key_names_its_caller_by_either_header() -> None:
    doors = Doors(KEYED, lambda: 0.0)

    assert doors.enter(ask(authorization="Bearer k-app")) == "app"
    assert doors.enter(ask(x_api_key="k-web")) == "web"


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer no"}, {"authorization": "Basic k-app"}, {"x_api_key": ""}],
)
def test_no_key_or_a_wrong_one_is_401(headers: dict[str, str]) -> None:
    doors = Doors(KEYED, lambda: 0.0)

    with pytest.raises(Refusal) as caught:
        doors.enter(ask(**headers))
    with pytest.raises(Refusal) as looked:
        doors.look(ask(**headers))

    assert (caught.value.status, looked.value.status) == (401, 401)
    assert caught.value.what == "no key, or one that is not known"
    assert "bearer" in caught.value.hint


def test_a_caller_beyond_its_rate_is_told_when_to_come_back() -> None:
    now_s = [0.0]
    doors = Doors(KEYED, lambda: now_s[0])
    web = ask(authorization="Bearer k-web")

    for _ in range(2):
        doors.enter(web)
    with pytest.raises(Refusal) as caught:
        doors.enter(web)
    now_s[0] = 1.0

    assert (caught.value.status, caught.value.retry_after_s) == (429, 1.0)
    assert doors.enter(web) == "web"
    assert doors.enter(ask(authorization="Bearer k-app")) == "app"


@given(
    st.lists(st.floats(0.0, 5.0), max_size=60),
    st.floats(0.1, 10.0),
    st.floats(1.0, 10.0),
)
def test_a_rate_never_gives_more_than_its_burst_and_its_time(
    pauses: list[float], per_s: float, burst: float
) -> None:
    rate, now_s, taken = Rate(per_s, burst), 0.0, 0

    for pause in pauses:
        now_s += pause
        taken += rate.take(now_s) is None

    assert taken <= burst + now_s * per_s + 1e-6


def test_the_admins_token_opens_what_it_should() -> None:
    doors = Doors(KEYED, lambda: 0.0)

    doors.administer(ask(authorization="Bearer root"))
    doors.look(ask(authorization="Bearer root"))
    with pytest.raises(Refusal) as other:
        doors.administer(ask(authorization="Bearer k-app"))
    with pytest.raises(Refusal) as absent:
        Doors(Settings(), lambda: 0.0).administer(ask(authorization="Bearer root"))

    assert (other.value.status, absent.value.status) == (401, 404)
    assert other.value.what == "not the admin's token"
    assert absent.value.what == "no such path"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "[::1]:8080", "10.0.0.7", "edge.example"]
)
def test_without_keys_a_server_answers_to_its_own_names(host: str) -> None:
    doors = Doors(Settings(hosts=("edge.example",)), lambda: 0.0)

    assert doors.enter(ask(host=host, x_edgewise_caller="me")) == "me"
    doors.look(ask(host=host, origin=f"http://{host}"))


def test_without_keys_a_web_page_is_kept_out() -> None:
    doors = Doors(Settings(), lambda: 0.0)

    with pytest.raises(Refusal) as rebound:
        doors.enter(ask(host="evil.example"))
    with pytest.raises(Refusal) as foreign:
        doors.enter(ask(origin="https://evil.example"))

    assert (rebound.value.status, foreign.value.status) == (421, 403)
    assert rebound.value.what == "not a name of this server"
    assert "hosts" in rebound.value.hint
    assert foreign.value.what == "asked from another site"
    assert foreign.value.hint == "use keys"


@pytest.mark.parametrize("name", ["x" * 65, "a\x00b"])
def test_a_callers_name_that_can_not_be_shown_is_none(name: str) -> None:
    assert Doors(Settings(), lambda: 0.0).enter(ask(x_edgewise_caller=name)) == ""
