"""Schemathesis asks a gateway's process what its description allows, and what it does not."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from gateways import run_directory, served, troubles

from edgewise.records import (
    BudgetRules,
    OfflineRules,
    Policy,
    PrivacyRules,
    Protocol,
    RetryRules,
    SpendingLimit,
    Task,
    TierKind,
    TierPolicy,
    read_json,
    write_json,
)
from edgewise.runtimes import read_manifest, write_manifest
from edgewise.testing.chats import ChatEndpoint, Saying
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

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


# Not in the description, which is for programs: what the pages ask.
ANSWERS = {str(status): {"description": "an answer"} for status in (200, 400, 401, 413)}
PAGE = {"get": {"security": [], "responses": ANSWERS}}
ID = {"name": "id", "in": "query", "schema": {"type": "string"}}
TEXT = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "private": {"type": "boolean"},
        "rtt_ms": {"type": "number"},
        "threshold": {"type": "number"},
    },
}
BODY = {"content": {"application/json": {"schema": TEXT}}}
PAGES: dict[str, Any] = {
    "/": PAGE,
    "/playground": PAGE,
    "/assets/icon.svg": PAGE,
    "/assets/pages.css": PAGE,
    "/assets/pages.js": PAGE,
    "/dashboard/state": {"get": {"responses": ANSWERS}},
    "/dashboard/decision": {"get": {"parameters": [ID], "responses": ANSWERS}},
    "/playground/decide": {"post": {"requestBody": BODY, "responses": ANSWERS}},
}
FEW = ("--max-examples", "10", "--include-path")


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
    config, description = folder / "schemathesis.toml", folder / "openapi.json"
    config.write_text(CONFIG, encoding="utf-8")
    told = httpx2.get(f"{url}/openapi.json").json()
    told["paths"] |= PAGES
    description.write_text(json.dumps(told), encoding="utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--no-color", "--config-file", str(config), "run"]
    command += [str(description), "--url", url, "--checks", ",".join(CHECKS), *options]
    command += ["--phases", "examples,coverage,fuzzing"]
    command += ["--generation-deterministic", "--continue-on-failure"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def answers_as_described(subject: Path, folder: Path, *options: str) -> str:
    """Serve it, ask for all, and give what Schemathesis says."""
    with served(subject, "--config", str(settings(folder))) as (process, url):
        found = asked(url, folder, *options)
        process.terminate()
        said = process.communicate(timeout=60)[1]

    assert found.returncode == 0, found.stdout + found.stderr
    assert [one for one in troubles(said) if one["event"] != "tier_failed"] == []
    assert process.returncode == 0
    return found.stdout


def with_a_cloud_that_is_away(run: Path) -> Path:
    """Let a run's policy defer to a cloud that nobody listens at, for money, or later."""
    policy = read_json(Policy, run / "policy.json")
    cloud = TierPolicy(
        name="cloud",
        kind=TierKind.CLOUD,
        endpoint="http://127.0.0.1:9",
        protocol=Protocol.JSON,
        usd_per_request=0.01,
    )
    policy = replace(
        policy,
        tiers=(replace(policy.tiers[0], threshold=0.7), cloud),
        retry=RetryRules(most=0),
        privacy=PrivacyRules(detect=("email",), residency={"eu": ("edge",)}),
        offline=OfflineRules(path=str(run / "queue"), max_count=20),
        budget=BudgetRules(path=str(run / "budget"), total=SpendingLimit(usd_per_day=0.1)),
    )
    write_json(run / "policy.json", policy)
    return run


@pytest.mark.timeout(600)
def test_whatever_a_gateway_is_asked_is_answered_as_described(tmp_path: Path) -> None:
    run = with_a_cloud_that_is_away(run_directory(tmp_path / "run"))
    # Nothing more could be asked after `drain`, which a test below asks.
    options = ("--max-examples", "20", "--exclude-path", "/admin/drain")

    said = answers_as_described(run, tmp_path, *options)

    selected, of = re.findall(r"Operations: +(\d+) selected / (\d+) total", said)[0]
    assert int(selected) == int(of) - 1 > 40


@pytest.mark.timeout(600)
def test_text_models_answer_as_described(tmp_path: Path) -> None:
    saying = Saying(tool_calls=(("weather", "{}"),), cached_tokens=3)
    with ChatEndpoint([Saying(), saying, Saying(status=500), Saying()]) as near:
        tier = TierPolicy(
            name="edge",
            kind=TierKind.DEVICE,
            endpoint=near.url,
            protocol=Protocol.OPENAI,
            model="small",
        )
        policy = Policy(task="text-generation", labels=(), tiers=(tier,))
        write_json(tmp_path / "policy.json", policy)

        for path in ("/v1/chat/completions", "/v1/completions"):
            answers_as_described(tmp_path / "policy.json", tmp_path, *FEW, path)

    assert near.bodies


@pytest.mark.timeout(600)
def test_images_and_vectors_are_answered_as_described(tmp_path: Path) -> None:
    vectors = tiny_text_bundle(tmp_path / "vectors")
    write_manifest(vectors, replace(read_manifest(vectors), task=Task.FEATURE_EXTRACTION))
    images = tiny_image_bundle(tmp_path / "images")

    answers_as_described(images, tmp_path, *FEW, "/v2/models/{model}/infer")
    answers_as_described(vectors, tmp_path, *FEW, "/v1/embeddings")


def test_that_it_is_told_to_stop_is_answered_as_described(tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    with served(run, "--config", str(settings(tmp_path))) as (process, url):
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        drain = schema["/admin/drain"]["post"]
        answer = drain.Case().call(headers={"authorization": "Bearer root"})
        drain.validate_response(answer)
        status = process.wait(timeout=60)

    assert (answer.status_code, answer.json(), status) == (200, {"draining": True}, 0)
