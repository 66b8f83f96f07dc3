"""What a plan reads of a project for text generation."""

from pathlib import Path

import pytest

from edgewise.errors import EdgewiseError, InvalidSpec
from edgewise.records import PlanSpec, ProjectSpec, Protocol, Shape, TierKind
from edgewise.spec import json_schema, load_chat_policy, load_plan, load_spec

PLANNED = """
name: assistant
task: text-generation
tiers:
  edge: {kind: site, memory: 16GiB, servers: 2, service: {base_ms: 20, per_output_token_ms: 15}}
  cloud: {model: large, rtt_ms: {p50: 700, p95: 2500}, queue: {most_waiting: 9}}
privacy: {detect: [email], residency: {eu: [edge]}}
objective: {latency_p95_ms: 4000, max_quality_loss: 0.05}
workload: {requests_per_month: {p5: 300_000, p95: 2_000_000}, devices: 40, trace: asked.csv}
costs:
  edge: {spares: 0.1}
  cloud: {model: openai/gpt-4.1, input_tokens: 900, output_tokens: 150}
  assume: {p50_ms: 900, p95_ms: 2200, peak_memory: 6GiB}
"""
PRICED = """
name: assistant
task: text-generation
tiers:
  edge: {endpoint: "http://127.0.0.1:8081"}
  cloud:
    endpoint: https://host/v1
    usd_per_input_token: 2.0e-6
    usd_per_cached_input_token: 5.0e-7
    usd_per_output_token: 8.0e-6
costs:
  cloud: {input_tokens: 900, output_tokens: 150}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "edgewise.yaml"
    path.write_text(text)
    return path


def planned(folder: Path, text: str) -> PlanSpec:
    found = load_plan(written(folder, text))
    assert isinstance(found, PlanSpec)
    return found


def test_a_file_for_text_generation_gives_what_a_plan_reads(tmp_path: Path) -> None:
    found = planned(tmp_path, PLANNED)

    assert (found.name, found.path) == ("assistant", tmp_path / "edgewise.yaml")
    assert (found.edge.kind, found.edge.memory_bytes) == (TierKind.SITE, 16 * 2**30)
    assert found.edge.servers == 2
    assert found.edge.service is not None
    assert found.edge.service.per_output_token_ms == 15
    assert found.cloud is not None
    assert (found.cloud.endpoint, found.cloud.model) == (None, "large")
    assert found.cloud.protocol is Protocol.OPENAI
    assert (found.cloud.rtt_p50_ms, found.cloud.rtt_p95_ms) == (700, 2500)
    assert found.cloud.queue is not None
    assert found.cloud.queue.most_waiting == 9
    assert (found.objective.latency_p95_ms, found.objective.max_quality_loss) == (4000, 0.05)
    assert found.privacy.residency == {"eu": ("edge",)}
    assert found.workload.devices == 40
    assert found.trace == tmp_path / "asked.csv"
    assert found.costs.uncertain["workload.requests_per_month"].shape is Shape.LOGNORMAL
    assert found.costs.assume.peak_memory_bytes == 6 * 2**30
    assert "workload.device_usd" in found.defaults
    assert "workload.devices" not in found.defaults


def test_both_kinds_of_project_mean_the_same_by_the_same_keys(tmp_path: Path) -> None:
    built = "task: text-classification\nmodel: {source: m.onnx}\n"
    built += "data: {train: a.csv, calibration: b.csv, test: c.csv}"
    text = PLANNED.replace("task: text-generation", built)

    chats, other = planned(tmp_path, PLANNED), load_plan(written(tmp_path, text))

    assert isinstance(other, ProjectSpec)
    assert other == load_spec(tmp_path / "edgewise.yaml")
    for name in ("edge", "objective", "privacy", "workload", "costs", "trace", "defaults"):
        assert getattr(chats, name) == getattr(other, name)


def test_prices_of_tokens_at_the_cloud_are_those_of_the_plan(tmp_path: Path) -> None:
    cloud = planned(tmp_path, PRICED).costs.cloud

    assert cloud.usd_per_million_input_tokens == pytest.approx(2.0)
    assert cloud.usd_per_million_cached_tokens == pytest.approx(0.5)
    assert cloud.usd_per_million_output_tokens == pytest.approx(8.0)


def test_a_planned_file_is_served_once_its_tiers_have_addresses(tmp_path: Path) -> None:
    path = written(tmp_path, PRICED)

    policy = load_chat_policy(path)

    assert policy.tiers[1].usd(1000, 100) == pytest.approx(0.002 + 0.0008)
    assert planned(tmp_path, PRICED.partition("  cloud:")[0]).cloud is None


def test_money_in_another_currency_is_turned_into_usd_at_each_tier(tmp_path: Path) -> None:
    rate = "costs:\n  currency: EUR\n  usd_per_unit: 2.0"
    path = written(tmp_path, PRICED.replace("costs:", rate))

    policy = load_chat_policy(path)
    plan = load_plan(path)

    assert policy.tiers[1].usd(1000, 100) == pytest.approx(0.004 + 0.0016)
    assert plan.costs.cloud.usd_per_million_output_tokens == pytest.approx(16.0)


@pytest.mark.parametrize(
    ("text", "line", "what", "hint"),
    [
        (
            PRICED.replace('8081"', '8081", usd_per_output_token: 1.0e-6'),
            5,
            "a plan counts the edge's machines, not a price of its calls: `usd_per_output_token`",
            "give what the machines cost under `workload` and `costs.edge`",
        ),
        (
            PRICED.replace("{input_tokens", "{usd_per_million_input_tokens: 2, input_tokens"),
            12,
            "`tiers.cloud.usd_per_input_token` gives this price too, of one token",
            "leave one of the two out",
        ),
        (
            PRICED.replace(", output_tokens: 150", ""),
            12,
            "key `costs.cloud.output_tokens` is missing: the tokens of a request",
            "give it, like `costs: {cloud: {output_tokens: 200}}`; 0 if there are none",
        ),
        (
            PLANNED.replace("input_tokens: 900, ", ""),
            12,
            "key `costs.cloud.input_tokens` is missing: the tokens of a request",
            "give it, like `costs: {cloud: {input_tokens: 200}}`; 0 if there are none",
        ),
        (
            PLANNED.replace("device", "devise"),
            9,
            "unknown key `workload.devises`",
            "did you mean `devices`?",
        ),
        (
            PLANNED.replace("{p5: 300_000, p95: 2_000_000}", "{p5: 3, most: 4}"),
            9,
            "`workload.requests_per_month`: not a distribution: {'p5': 3, 'most': 4}",
            "give {low, mode, high}, or {p5, p95}, or one number",
        ),
    ],
)
def test_what_can_not_be_planned_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, what: str, hint: str
) -> None:
    path = written(tmp_path, text)

    with pytest.raises(InvalidSpec) as caught:
        load_plan(path)

    assert caught.value.where.startswith(f"{path}:{line}:")
    assert caught.value.what == what
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "line", "tier"),
    [
        (PLANNED, 5, "edge"),
        (PRICED.replace("    endpoint: https://host/v1\n", ""), 7, "cloud"),
    ],
)
def test_a_tier_without_an_address_is_planned_for_and_not_served(
    tmp_path: Path, text: str, line: int, tier: str
) -> None:
    path = written(tmp_path, text)

    with pytest.raises(InvalidSpec) as caught:
        load_chat_policy(path)

    assert load_plan(path).name == "assistant"
    assert caught.value.where.startswith(f"{path}:{line}:")
    assert caught.value.what == f"key `tiers.{tier}.endpoint` is missing"
    assert (
        caught.value.hint == "a tier that is asked needs its URL; `edgewise plan` does without one"
    )


def test_numbers_of_a_plan_may_be_distributions_in_the_schema_of_chats() -> None:
    parts = json_schema(chats=True)["$defs"]

    one = {"$ref": "#/$defs/Distribution"}
    assert one in parts["Workload"]["properties"]["requests_per_month"]["anyOf"]
    assert one in parts["ChatCloud"]["properties"]["usd_per_request"]["anyOf"]
    assert "anyOf" not in parts["ChatEdge"]["properties"]["usd_per_request"]


def test_a_file_that_can_not_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(EdgewiseError) as caught:
        load_plan(tmp_path / "none.yaml")

    assert "none.yaml" in caught.value.where
