"""Settings read from their file; what is wrong in it is found by line and column."""

import hashlib
from pathlib import Path

import jsonschema
import pytest
import yaml

from edgewise.errors import InvalidSpec, UsageError
from edgewise.gateway import Settings, explain_settings, read_settings, settings_schema
from edgewise.gateway.server import check_exposure
from edgewise.gateway.settings import CallerRules, beside

NOTHING = hashlib.sha256(b"").hexdigest()
WHOLE = f"""
host: 0.0.0.0
port: 9000
name: sentiment
log: decisions.db
drain_s: 5
hosts: [edge.example]
threads: 2
tls: {{certificate: cert.pem, key: key.pem}}
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
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()

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
    ("text", "place", "what", "hint"),
    [
        ("port: many\n", ":1:1", "`port`: expected `int`, got `str`", "port: 0 takes a free one"),
        ("host: x\nprot: 1\n", ":2:1", "unknown key `prot`", "did you mean `port`?"),
        ("zzz: 1\n", ":1:1", "unknown key `zzz`", "keys there: host, port, workers, "),
        ("1: 2\n", ":1:1", "expected `str`", "`edgewise init --explain --gateway`"),
        ("limits:\n  batch: 0\n", ":2:3", "`limits.batch` is not above 0", "batch: inputs of"),
        ("limits:\n  batsh: 1\n", ":2:3", "unknown key `limits.batsh`", "did you mean `batch`?"),
        (
            "callers:\n  - {name: a}\n",
            ":2:5",
            "key `callers[0].key_sha256` is missing",
            "key_sha256: 64 hex digits",
        ),
        ("host: x\nport: 70000\n", ":2:1", "`port` is 0 to 65535", "port: 0 takes"),
        ("workers: 0\n", ":1:1", "`workers` is 1 to 256", "workers: processes"),
        ("threads: 0\n", ":1:1", "`threads` is not above 0", "threads: of the local model"),
        ("drain_s: -1\n", ":1:1", "`drain_s` is 0 or more", "drain_s: what is under way"),
        (
            "admission:\n  lag_ms: 9\n  most_in_flight: 0\n",
            ":3:3",
            "`admission.most_in_flight` is not above 0",
            "most_in_flight: requests under way",
        ),
        ("batching: {most: 0}\n", ":1:12", "`batching.most` is not above 0", "most: inputs a run"),
        (
            "admin: {token_sha256: secret}\n",
            ":1:9",
            "`admin.token_sha256` is 64 hex digits",
            "token_sha256: 64 hex digits",
        ),
        (
            f"admin: {{token_sha256: {NOTHING}}}\n",
            ":1:9",
            "`admin.token_sha256` is the digest of nothing: TOKEN was empty",
            "token_sha256: 64 hex digits",
        ),
        (
            "traces: {endpoint: 'ftp://x'}\n",
            ":1:10",
            "`traces.endpoint` is an http or https URL",
            "endpoint: an OTLP collector",
        ),
        (
            "traces: {share: 2, endpoint: 'http://x'}\n",
            ":1:10",
            "`traces.share` is 0 to 1",
            "share: of requests",
        ),
        (
            "tls:\n  key: key.pem\n  certificate: gone.pem\n",
            ":3:3",
            "`tls.certificate`: no such file: ",
            "give a PEM file; paths are relative to this file",
        ),
        ("port: 1\nhost: x\nport: 2\n", ":3:1", "key `port` is given twice", "remove one"),
        ("limits: &a {batch: 1}\nadmission: *a\n", ":1:13", "unknown key `admission.batch`", ""),
        ("- a\n", ":1:1", "not a mapping of keys", "write `port: 8080`"),
        ("a: [1\n", ":2:1", "not valid YAML: expected ',' or ']'", "check indentation"),
        ("a: \x00\n", "", "not valid YAML", "is this a text file?"),
    ],
)
def test_what_can_not_be_is_found_by_its_place(
    tmp_path: Path, text: str, place: str, what: str, hint: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)

    with pytest.raises(InvalidSpec) as caught:
        read_settings(file)

    assert caught.value.what.startswith(what)
    assert caught.value.where == f"{file}{place}"
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("caller", "column", "what"),
    [
        ("{name: 'a b', key_sha256: " + "a" * 64 + "}", 6, "`callers[0].name` is letters"),
        ("{name: a, key_sha256: hunter2}", 15, "`callers[0].key_sha256` is 64 hex digits"),
        (f"{{name: a, key_sha256: {NOTHING}}}", 15, "`callers[0].key_sha256` is the digest of"),
        (
            "{name: a, burst: 0, key_sha256: " + "a" * 64 + "}",
            15,
            "`callers[0].burst` is not above",
        ),
    ],
)
def test_a_caller_that_can_not_be_is_named(
    tmp_path: Path, caller: str, column: int, what: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(f"callers:\n  - {caller}\n")

    with pytest.raises(InvalidSpec) as caught:
        read_settings(file)

    assert caught.value.what.startswith(what)
    assert caught.value.where == f"{file}:2:{column}"
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


def test_every_key_is_explained_with_the_default_that_it_has(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(explain_settings())
    said = explain_settings().replace("# |", "    ").replace("\n# ", "\n").replace("# ", " ")

    assert read_settings(file) == Settings()
    for name in ("certificate", "endpoint", "head_bytes", "lag_ms", "key_sha256", "token_sha256"):
        assert f"\n  {name}: " in said or f" {name}: " in said
    assert "\nport: 8080  # 0 takes a free one\n" in explain_settings()


def test_the_schema_for_editors_takes_what_is_read_and_refuses_what_is_not() -> None:
    whole = yaml.safe_load(WHOLE)

    jsonschema.validate(whole, settings_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**whole, "prot": 1}, settings_schema())


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
