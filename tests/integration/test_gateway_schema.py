"""Schemathesis asks a gateway's process what its description allows, and what it does not."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import schemathesis
from gateways import run_directory, served, troubles

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)
# That a tier is away, or a deadline too near, is an answer; it has to be in the description.
CONFIG = """
[auth.openapi]
bearer = { bearer = "key" }
header = { api_key = "key" }
admin = { bearer = "root" }

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503, 504]
"""


def settings(folder: Path) -> Path:
    """Write settings with a caller and an admin."""
    key, token = (hashlib.sha256(one).hexdigest() for one in (b"key", b"root"))
    callers = [{"name": "app", "key_sha256": key}]
    told = {"callers": callers, "admin": {"token_sha256": token}}
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def asked(url: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis, with the same requests each time."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--no-color", "--config-file", str(config), "run"]
    command += [f"{url}/openapi.json", "--checks", ",".join(CHECKS), *options]
    command += ["--generation-deterministic", "--continue-on-failure"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_nothing_that_is_asked_fails_or_is_answered_otherwise_than_described(
    tmp_path: Path,
) -> None:
    run = run_directory(tmp_path / "run")
    with served(run, "--config", str(settings(tmp_path))) as (process, url):
        found = asked(
            url,
            tmp_path,
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "20"),
            *("--exclude-path", "/admin/drain"),
        )
        process.terminate()
        said = process.communicate(timeout=60)[1]

    assert found.returncode == 0, found.stdout
    assert "Operations:       38 selected / 39 total" in found.stdout
    assert [one for one in troubles(said) if one["event"] != "tier_failed"] == []
    assert process.returncode == 0


def test_that_it_is_told_to_stop_is_answered_as_described(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    with served(run, "--config", str(settings(tmp_path))) as (process, url):
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        drain = schema["/admin/drain"]["post"]
        answer = drain.Case().call(headers={"authorization": "Bearer root"})
        drain.validate_response(answer)
        status = process.wait(timeout=60)

    assert (answer.status_code, answer.json(), status) == (200, {"draining": True}, 0)
