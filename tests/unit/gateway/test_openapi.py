"""The description of the gateway's paths is whole."""

import re
from contextlib import ExitStack
from pathlib import Path

from gateways import run_directory
from openapi import described

from edgewise.gateway import Settings
from edgewise.gateway.opening import Subject, open_gateway
from edgewise.gateway.settings import AdminRules

LEFT_OUT = {
    ("GET", "/assets/icon.svg"),
    ("GET", "/assets/pages.css"),
    ("GET", "/assets/pages.js"),
    ("GET", "/v2/"),  # as `/v2`
    ("POST", "/admin/drain"),  # nothing could be asked after it
    ("POST", "/v2/repository/index"),  # as by GET
}


def test_every_path_of_the_gateway_is_described(tmp_path: Path) -> None:
    policy = run_directory(tmp_path / "run") / "policy.json"
    settings = Settings(admin=AdminRules(token_sha256="a" * 64))
    with ExitStack() as stack:
        gateway = open_gateway(Subject(policy=policy, bundle=None), settings, stack=stack)
        stack.callback(gateway.engine.close)
        there = {(method, path) for path, one in gateway._paths.items() for method in one}

    told = {
        (method.upper(), re.sub(r"\{\w+\}", "[^/]*", path))
        for path, one in described()["paths"].items()
        for method in one
    }
    missing = {
        (method, path)
        for method, path in there
        if not any(method == name and re.fullmatch(pattern, path) for name, pattern in told)
    }
    assert missing == LEFT_OUT
