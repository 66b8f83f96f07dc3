"""Settings read from their file; what is wrong in it is found by line and column."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec, UsageError
from edgewise.gateway import Settings, read_settings
from edgewise.gateway.server import check_exposure
from edgewise.gateway.settings import CallerRules, beside

WHOLE = f"""
host: 0.0.0.0
port: 9000
name: sentiment
log: decisions.db
drain_s: 5
hosts: [edge.example]
threads: 2
tls: {{certificate: tls/cert.pem, key: tls/key.pem}}
limits: {{body_bytes: 1000000, batch: 64}}
admission: {{most_in_flight: 64, lag_ms: 20}}
batching: {{most: 1}}
callers:
  - {{name: web, key_sha256: {"a" * 64}, requests_per_s: 50}}
admin: {{token_sha256: {"b" * 64}}}
"""


def test_every_key_of_the_file_is_a_setting(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(WHOLE)

    settings = read_settings(file)

    assert (settings.host, settings.port, settings.limits.batch) == ("0.0.0.0", 9000, 64)
    assert settings.callers[0].name == "web"
    assert settings.limits.http().body_bytes == 1_000_000
    assert beside(settings.log, file) == tmp_path / "decisions.db"
    assert beside("x", None) == Path("x")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("# nothing yet\n")

    assert read_settings(file) == Settings()


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("port: many\n", ":1:1", "expected `int`, got `str`"),
        ("host: x\nprot: 1\n", ":2:1", "object contains unknown field `prot`"),
        ("limits:\n  batch: 0\n", ":1:1", "`batch` is not above 0"),
        ("limits:\n  batsh: 1\n", ":2:3", "object contains unknown field `batsh`"),
        ("callers:\n  - {name: a}\n", ":2:5", "object missing required field `key_sha256`"),
        ("port: 70000\n", ":1:1", "`port` is 0 to 65535"),
        ("drain_s: -1\n", ":1:1", "`drain_s` is 0 or more"),
        ("admission: {most_in_flight: 0}\n", ":1:1", "`most_in_flight` and `lag_ms` are above 0"),
        ("batching: {most: 0}\n", ":1:1", "`most` is above 0"),
        ("admin: {token_sha256: secret}\n", ":1:1", "`token_sha256` is 64 hex digits"),
        ("- a\n", ":1:1", "not a mapping of keys"),
        ("a: [1\n", ":2:1", "not valid YAML: expected ',' or ']'"),
        ("a: \x00\n", "", "not valid YAML"),
    ],
)
def test_what_can_not_be_is_found_by_its_place(
    tmp_path: Path, text: str, place: str, what: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)

    with pytest.raises(InvalidSpec) as caught:
        read_settings(file)

    assert caught.value.what.startswith(what)
    assert caught.value.where == f"{file}{place}"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("caller", "what"),
    [
        ("{name: 'a b', key_sha256: " + "a" * 64 + "}", "`name` is letters"),
        ("{name: a, key_sha256: hunter2}", "`key_sha256` is 64 hex digits"),
        ("{name: a, burst: 0, key_sha256: " + "a" * 64 + "}", "`requests_per_s` and `burst`"),
    ],
)
def test_a_caller_that_can_not_be_is_named(tmp_path: Path, caller: str, what: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(f"callers:\n  - {caller}\n")

    with pytest.raises(InvalidSpec) as caught:
        read_settings(file)

    assert caught.value.what.startswith(what)
    assert caught.value.where == f"{file}:2:5"
    assert "hunter2" not in str(caught.value)


def test_a_key_of_two_callers_is_found(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    callers = ", ".join(f"{{name: {name}, key_sha256: {'a' * 64}}}" for name in "ab")
    file.write_text(f"callers: [{callers}]\n")

    with pytest.raises(InvalidSpec) as caught:
        read_settings(file)

    assert caught.value.what == "`callers` names a caller or a key twice"


@pytest.mark.parametrize("name", ["absent.yaml", "latin.yaml"])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")

    with pytest.raises(InvalidSpec) as caught:
        read_settings(tmp_path / name)

    assert caught.value.what.startswith("can't be read: ")
    assert caught.value.where == str(tmp_path / name)


def test_what_the_command_line_says_comes_first() -> None:
    given = {"port": 0, "host": None, "without_keys": False, "name": "x"}

    changed = Settings(host="::1", port=1).changed(given)

    assert (changed.host, changed.port, changed.name) == ("::1", 0, "x")


def test_nobody_listens_beyond_the_machine_without_keys_by_accident() -> None:
    keyed = (CallerRules(name="a", key_sha256="a" * 64),)
    for fine in (
        Settings(),
        Settings(host="localhost"),
        Settings(host="::1"),
        Settings(host="0.0.0.0", without_keys=True),
        Settings(host="0.0.0.0", callers=keyed),
    ):
        check_exposure(fine)

    for host in ("0.0.0.0", "10.0.0.7", "edge.example"):
        with pytest.raises(UsageError) as caught:
            check_exposure(Settings(host=host))
        assert "there are no keys" in caught.value.what
        assert caught.value.where == f"--host {host}"
        assert "--without-keys" in caught.value.hint
