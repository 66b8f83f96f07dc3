"""Requests leave nothing behind: what is kept of them is bounded, and full after some thousands."""

import gc
import json
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from gateways import run_directory

from edgewise.gateway import Settings
from edgewise.gateway.messages import Request
from edgewise.gateway.opening import Subject, open_gateway

pytestmark = [pytest.mark.integration, pytest.mark.slow]
WARM, ASKED = 4000, 4000


async def test_no_request_leaves_an_object_behind(tmp_path: Path) -> None:
    policy = run_directory(tmp_path / "run") / "policy.json"
    settings = Settings(log=str(tmp_path / "decisions.db"))
    headers = {"host": "localhost"}
    body = json.dumps({"text": "good"}).encode()
    blocks = []
    with ExitStack() as stack:
        gateway = open_gateway(Subject(policy=policy, bundle=None), settings, stack=stack)
        async with gateway.engine:
            for number in (WARM, ASKED):
                for _ in range(number):
                    request = Request(method="POST", path="/predict", headers=headers, body=body)
                    assert (await gateway.handle(request)).status == 200
                gc.collect()
                blocks.append(sys.getallocatedblocks())

    assert blocks[1] - blocks[0] < ASKED / 4
