"""Schemathesis makes up requests of the gateway's description, right ones and wrong ones."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from gateways import run_directory, served
from openapi import described

pytestmark = [pytest.mark.heavy, pytest.mark.integration, pytest.mark.timeout(600)]
TOKEN = "root"


def test_no_request_that_it_makes_up_is_answered_by_a_failure(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    config = tmp_path / "gateway.yaml"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    config.write_text(f"admin: {{token_sha256: {digest}}}\n")
    (tmp_path / "openapi.json").write_text(json.dumps(described()))
    program = str(Path(sys.executable).with_name("schemathesis"))
    options = ["--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--no-color"]
    options += ["--max-examples", "30", "--seed", "1", "--continue-on-failure"]
    options += ["--header", f"authorization: Bearer {TOKEN}"]
    with served(run, "--config", str(config)) as (process, url):
        command = [program, "run", "openapi.json", "--url", url, *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        process.terminate()
        _, said = process.communicate(timeout=30)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert [one for one in map(json.loads, said.splitlines()) if one["event"] == "fault"] == []
