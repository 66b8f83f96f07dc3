"""The tiers of a project file, alone and with all that a simulation reads of them."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec
from edgewise.records import Autoscaling, Batching, QueueRules, ServiceFormula, TierKind
from edgewise.spec import load_tiers

CLOUD = """
tiers:
  cloud:
    kind: site
    servers: 3
    service: {base_ms: 200, per_input_token_ms: 0.1, per_output_token_ms: 20}
    queue:
      most_waiting: 9
      batching: {most: 4, wait_ms: 5}
      autoscaling: {least: 2, most: 6, delay_s: 30}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "edgewise.yaml"
    path.write_text(text)
    return path


def test_all_that_a_tier_serves_by_is_read(tmp_path: Path) -> None:
    found = load_tiers(written(tmp_path, CLOUD))

    assert found.edge is None
    assert found.cloud is not None
    assert found.cloud.kind is TierKind.SITE
    assert found.cloud.servers == 3
    assert found.cloud.service == ServiceFormula(
        base_ms=200.0, per_input_token_ms=0.1, per_output_token_ms=20.0
    )
    assert found.cloud.queue == QueueRules(
        most_waiting=9,
        batching=Batching(most=4, wait_ms=5.0),
        autoscaling=Autoscaling(least=2, most=6, delay_s=30.0),
    )


@pytest.mark.parametrize(
    ("text", "edge", "cloud"),
    [
        ("tiers: {cloud: {}}\n", False, True),
        ("tiers: {edge: {servers: 1}, cloud: {}}\n", True, True),
        ("model: half done\ntiers: {cloud: {}}\n", True, True),
        ("name: nothing else\n", True, False),
    ],
)
def test_the_edge_is_there_where_something_says_so(
    tmp_path: Path, text: str, *, edge: bool, cloud: bool
) -> None:
    found = load_tiers(written(tmp_path, text))

    assert (found.edge is not None, found.cloud is not None) == (edge, cloud)


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("tiers: {cloud: {servers: 0}}\n", ":1:26", "`tiers.cloud.servers`"),
        ("tiers: {cloud: {service: {base_ms: -1}}}\n", ":1:36", "`tiers.cloud.service.base_ms`"),
        (
            "tiers: {cloud: {service: {base: 1}}}\n",
            ":1:27",
            "unknown key `tiers.cloud.service.base`",
        ),
        (
            "tiers: {cloud: {queue: {autoscaling: {least: 9, most: 2}}}}\n",
            ":1:38",
            "`tiers.cloud.queue.autoscaling`: value error, `least` is above `most`",
        ),
        ("tiers: {sky: {}}\n", ":1:9", "unknown key `tiers.sky`"),
        ("privacy: {residency: {eu: [sky]}}\n", ":1:28", "`sky` is no tier"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, at: str, what: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_tiers(written(tmp_path, text))

    assert caught.value.where.endswith(at)
    assert caught.value.what.startswith(what)
    assert caught.value.hint
