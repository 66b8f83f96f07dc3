"""The description of the interface: it tells of each path there is, and of no other."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from gateways import run_directory
from schemathesis.core.result import Ok

from edgewise import __version__
from edgewise.gateway.app import Gateway
from edgewise.gateway.describing import describe
from edgewise.gateway.messages import Request
from edgewise.gateway.opening import Subject, open_gateway
from edgewise.gateway.settings import AdminRules, CallerRules, Settings

DIGEST = hashlib.sha256(b"key").hexdigest()
OF_PAGES = {"page", "asset", "playground"}
WITH_ALL = Settings(
    callers=(CallerRules(name="app", key_sha256=DIGEST),),
    admin=AdminRules(token_sha256=hashlib.sha256(b"root").hexdigest()),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_directory(tmp_path_factory.mktemp("run"))


@pytest.fixture(params=[Settings(), WITH_ALL], ids=["bare", "with keys and admin"])
def gateway(request: Any, run: Path) -> Iterator[Gateway]:
    subject = Subject(policy=run / "policy.json", bundle=None)
    with ExitStack() as stack:
        made = open_gateway(subject, request.param, stack=stack)
        stack.enter_context(closing(made.engine))
        yield made


def operations(told: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in told["paths"].items():
        for method, one in item.items():
            if method != "parameters":
                yield path, method, one


def test_every_path_is_described_and_none_is_made_up(gateway: Gateway) -> None:
    told = describe(gateway.name, keys=True, admin="/admin/state" in gateway.routes())
    there = {
        (path, method.lower())
        for path, methods in gateway.routes().items()
        for method, route in methods.items()
        if route.name not in OF_PAGES
    }

    named = {
        (path.format(model=model, version="1", id=""), method)
        for path, method, _ in operations(told)
        for model in (gateway.name, "default")
    }

    assert named == there


@pytest.mark.parametrize("everything", [True, False])
def test_it_is_openapi(everything: bool) -> None:
    told = describe("tiny", keys=everything, admin=everything)

    schema = schemathesis.openapi.from_dict(told)
    schema.validate()

    ids = [one["operationId"] for _, _, one in operations(told)]
    assert all(isinstance(one, Ok) for one in schema.get_all_operations())
    assert len(set(ids)) == len(ids)


def test_every_part_of_it_is_used() -> None:
    told = describe("tiny", keys=True, admin=True)
    text = json.dumps(told)

    unused = {
        f"{kind}/{name}"
        for kind, parts in told["components"].items()
        if kind != "securitySchemes"
        for name in parts
        if f'"#/components/{kind}/{name}"' not in text
    }

    assert unused == set()


async def test_it_tells_of_this_gateway(gateway: Gateway) -> None:
    keys = bool(gateway.callers)

    answer = await gateway.handle(Request(method="GET", path="/openapi.json"))

    told = json.loads(answer.body)
    assert (answer.status, answer.kind) == (200, "application/json")
    assert told["info"]["version"] == __version__
    assert told["components"]["parameters"]["model"]["schema"]["enum"] == ["bundle", "default"]
    assert bool(told["security"]) == keys
    assert ("/admin/stage" in told["paths"]) == keys
    assert [one["name"] for one in told["tags"]][-1] == ("admin" if keys else "operation")


def test_a_model_that_is_called_default_is_named_once() -> None:
    told = describe("default", keys=False, admin=False)

    assert told["components"]["parameters"]["model"]["schema"]["enum"] == ["default"]


async def test_without_keys_it_is_told_to_this_machine_alone(gateway: Gateway) -> None:
    headers = {"host": "evil.example"}

    answer = await gateway.handle(Request(method="GET", path="/openapi.json", headers=headers))

    assert answer.status == (200 if gateway.callers else 421)
