"""Whatever is asked of a gateway that works, it answers, and not with a failure of its own."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewise.gateway import Gateway, Settings
from edgewise.gateway.counting import Counting, Decisions
from edgewise.gateway.messages import Request, Response, head_of
from edgewise.gateway.settings import Limits
from edgewise.route import HybridInferenceEngine
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**40), st.floats(), st.text(max_size=8)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "text",
        "image",
        "inputs",
        "outputs",
        "messages",
        "prompt",
        "input",
        "model",
        "stream",
        "logprobs",
        "n",
        "parameters",
        "privacy_flag",
        "region",
        "id",
        "stream_options",
        "encoding_format",
    ]
)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["text", "image", "label", 3]),
        "datatype": st.sampled_from(["BYTES", "FP32", "UINT8", "x", None]),
        "shape": st.one_of(st.lists(st.integers(-1, 4), max_size=4), LEAVES),
        "data": st.one_of(st.lists(LEAVES, max_size=4), LEAVES),
        "parameters": st.one_of(
            st.fixed_dictionaries({"binary_data_size": st.integers(-1, 9)}), VALUES
        ),
    },
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", 1])},
        optional={"content": st.one_of(st.text(max_size=9), VALUES)},
    ),
    max_size=3,
)
BODIES = st.dictionaries(KEYS, st.one_of(VALUES, st.lists(TENSORS, max_size=2), MESSAGES))
PATHS = st.sampled_from(
    [
        "/predict",
        "/v2",
        "/v2/models/tiny",
        "/v2/models/tiny/infer",
        "/v2/models/default/versions/1/infer",
        "/v2/models/tiny/config",
        "/v2/repository/index",
        "/v1/models",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/late/x",
        "/admin/policy",
        "/metrics",
        "/readyz",
    ]
)
NAMES = st.sampled_from(
    [
        "x-edgewise-force-location",
        "x-edgewise-privacy",
        "x-edgewise-region",
        "x-edgewise-deadline-ms",
        "x-edgewise-allow-late",
        "x-edgewise-caller",
        "inference-header-content-length",
        "content-encoding",
        "origin",
        "authorization",
    ]
)
TOLD = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12),
    st.sampled_from(["true", "edge", "cloud", "100", "0", "eu", "nan", "1e400", "٣"]),
)
# `deadline_ms` may pass, and there is no second tier: then 504 and 503 are right answers.
FINE = (503, 504)


@pytest.fixture(scope="module", params=["text", "image"])
def gateway(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    make = tiny_text_bundle if request.param == "text" else tiny_image_bundle
    folder = make(tmp_path_factory.mktemp("law") / "tiny")
    decisions = Decisions(Counting(), None)
    engine = HybridInferenceEngine(folder, decision_log=decisions)
    yield Gateway(
        engine,
        name="tiny",
        settings=Settings(limits=Limits(batch=4)),
        decisions=decisions,
    )
    engine.close()


async def answered(gateway: Gateway, request: Request) -> tuple[Response, bytes]:
    response = await gateway.handle(request)
    if response.parts is None:
        return response, response.body
    body = b"".join([part async for part in response.parts])
    await response.parts.aclose()  # type: ignore[attr-defined]
    return response, body


@given(
    method=st.sampled_from(["GET", "POST", "POST", "POST", "PUT", "HEAD"]),
    path=st.one_of(PATHS, PATHS, st.text(max_size=20).map(lambda text: "/" + quote(text))),
    body=st.one_of(BODIES.map(lambda one: json.dumps(one).encode()), st.binary(max_size=30)),
    headers=st.dictionaries(NAMES, TOLD, max_size=3),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_is_answered(
    gateway: Gateway, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    request = Request(method=method, path=path, headers={"host": "localhost", **headers}, body=body)

    response, content = asyncio.run(answered(gateway, request))

    assert response.status < 500 or response.status in FINE, content
    assert gateway.admission.in_flight == 0
    assert head_of(response, "", close=False).count(b"\r\n\r\n") == 1
    if response.status >= 400:
        assert json.loads(content)["error"]
