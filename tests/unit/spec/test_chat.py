"""`edgewise.yaml` for text generation."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec
from edgewise.records import Price, PrivacyAction, Protocol, SpendingLimit, TierKind, TokenLimit
from edgewise.spec import explain, json_schema, load_chat_policy, load_spec

LEAST = """
name: assistant
task: text-generation
tiers:
  edge: {endpoint: "http://127.0.0.1:8081"}
"""
WHOLE = """
name: assistant
task: text-generation
tiers:
  edge: {kind: device, endpoint: "http://127.0.0.1:8081", model: small, threshold: 0.4}
  cloud:
    endpoint: https://host/v1
    model: large
    token_limit: max_completion_tokens
    api_key: {env: KEY}
    usd_per_request: 0.001
    usd_per_input_token: 1.5e-7
    usd_per_cached_input_token: 7.5e-8
    usd_per_output_token: 6.0e-7
    rtt_ms: {p50: 40, p95: 90}
max_output_tokens: 300
routing: {deadline_ms: 20000, retry: {most: 2}}
stream: {commit_after_tokens: 8}
privacy: {detect: [email], actions: {email: redact}, residency: {eu: [edge]}}
budget: {path: spent.db, usd_per_day: 2, usd_per_month: 30}
offline: {max_count: 9}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "edgewise.yaml"
    path.write_text(text)
    return path


def test_a_file_becomes_a_policy(tmp_path: Path) -> None:
    policy = load_chat_policy(written(tmp_path, WHOLE))

    edge, cloud = policy.tiers
    assert policy.task == "text-generation"
    assert (edge.name, edge.kind, edge.threshold) == ("edge", TierKind.DEVICE, 0.4)
    assert (edge.protocol, edge.model, edge.token_price) == (Protocol.OPENAI, "small", None)
    assert cloud.api_key is not None
    assert cloud.api_key.env == "KEY"
    assert edge.token_limit is TokenLimit.MAX_TOKENS
    assert cloud.token_limit is TokenLimit.MAX_COMPLETION_TOKENS
    assert isinstance(cloud.token_price, Price)
    # 1,000 tokens of which 400 were read before, and 100 written
    assert cloud.usd(1000, 100, 400) == pytest.approx(0.001 + 0.00009 + 0.00003 + 0.00006)
    assert (cloud.rtt_p50_ms, cloud.rtt_p95_ms) == (40.0, 90.0)
    assert (policy.max_output_tokens, policy.deadline_ms) == (300, 20_000.0)
    assert policy.stream.commit_after_tokens == 8
    assert policy.privacy.actions.of("email") is PrivacyAction.REDACT
    assert policy.privacy.residency == {"eu": ("edge",)}
    assert policy.budget is not None
    assert policy.budget.path == "spent.db"
    assert policy.retry.most == 2
    assert policy.offline is not None
    assert policy.offline.max_count == 9
    assert policy.budget.total == SpendingLimit(usd_per_day=2.0, usd_per_month=30.0)


def test_the_least_file_keeps_all_at_the_edge(tmp_path: Path) -> None:
    policy = load_chat_policy(written(tmp_path, LEAST))

    assert [tier.name for tier in policy.tiers] == ["edge"]
    assert (policy.tiers[0].threshold, policy.budget, policy.deadline_ms) == (None, None, None)
    assert policy.stream.commit_after_tokens == 16


def test_the_whole_answer_is_held_back_by_null(tmp_path: Path) -> None:
    held = written(tmp_path, LEAST + "stream: {commit_after_tokens: null}\n")

    assert load_chat_policy(held).stream.commit_after_tokens is None


@pytest.mark.parametrize(
    ("text", "line", "what", "hint"),
    [
        (LEAST + "streams: {}\n", 6, "unknown key `streams`", "did you mean `stream`?"),
        (
            LEAST + "stream: {commit_after_tokens: 0}\n",
            6,
            "`stream.commit_after_tokens`: ",
            "commit_after_tokens: decide after so many tokens",
        ),
        (
            LEAST.replace("http:", "ftp:"),
            5,
            "`tiers.edge.endpoint` is no http or https URL",
            "https://",
        ),
        (
            LEAST + "privacy: {residency: {eu: [moon]}}\n",
            6,
            "`moon` is no tier",
            "tiers: edge, cloud",
        ),
        (
            LEAST + "model: {source: x}\n",
            6,
            "unknown key `model`",
            "",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, what: str, hint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidSpec) as caught:
        load_chat_policy(path)

    assert caught.value.where.startswith(f"{path}:{line}:")
    assert caught.value.what.startswith(what)
    assert hint in caught.value.hint


def test_text_generation_has_nothing_to_build(tmp_path: Path) -> None:
    path = written(tmp_path, LEAST)
    with pytest.raises(InvalidSpec) as caught:
        load_spec(path)

    assert caught.value.what == "a project for text generation has nothing to build"
    assert caught.value.where == f"{path}:3:7"
    assert caught.value.hint == "serve it: `edgewise.spec.load_chat_policy` gives its policy"


def test_every_key_of_the_file_is_explained(tmp_path: Path) -> None:
    told = explain(chats=True)
    given = told.replace("name: …", "name: a").replace("task: …", "task: text-generation")
    given = given.replace("endpoint: null", "endpoint: http://127.0.0.1:1", 1)

    policy = load_chat_policy(written(tmp_path, given))

    assert policy == load_chat_policy(written(tmp_path, LEAST.replace("8081", "1")))
    properties = json_schema(chats=True)["properties"]
    assert all(f"{name}:" in told for name in properties)
