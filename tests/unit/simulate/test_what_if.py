"""Changes of a scenario by their keys."""

import pytest

from edgewise.errors import UsageError
from edgewise.records import Policy, ServiceFormula, TierKind, TierPolicy
from edgewise.simulate import Drift, Outage
from edgewise.simulate.what_if import changed, read_changes

POLICY = Policy(
    task="t",
    labels=(),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5),
        TierPolicy(name="cloud", kind=TierKind.CLOUD),
    ),
)


def test_fields_of_the_policy_are_changed_by_their_path() -> None:
    changes = read_changes(
        ["tiers.cloud.servers=8", "tiers.cloud.service.base_ms=20", "deadline_ms=200", "task=other"]
    )

    policy = changed(POLICY, changes.policy)

    assert policy.tiers[1].servers == 8
    assert policy.tiers[1].service == ServiceFormula(base_ms=20.0)
    assert policy.deadline_ms == 200.0
    assert policy.task == "other"
    assert policy.tiers[0] == POLICY.tiers[0]


def test_keys_of_the_scenario_are_its_own() -> None:
    changes = read_changes(
        [
            "rate=2",
            "bytes_per_token=3",
            "failures.cloud=0.1",
            "outages.cloud=1-2,3.5-4",
            "drift.from_s=60",
            "drift.wrong_share=0.2",
        ]
    )

    assert (changes.rate, changes.bytes_per_token) == (2.0, 3.0)
    assert changes.failure_share == {"cloud": 0.1}
    assert changes.outages == (
        Outage(tier="cloud", from_s=1.0, to_s=2.0),
        Outage(tier="cloud", from_s=3.5, to_s=4.0),
    )
    assert changes.drift == Drift(from_s=60.0, wrong_share=0.2)
    assert not changes.policy


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("rate", "no KEY=VALUE: `rate`"),
        ("=3", "no KEY=VALUE: `=3`"),
        ("rate=fast", "no number: `rate=fast`"),
        ("outages.cloud=5", "no FROM-TO: `outages.cloud=5`"),
        ("outages.cloud=9-5", "an outage from 9.0 to 5.0 s"),
        ("drift.wrong_share=2", "a share of 2.0 from 0.0 s on"),
        ("tiers.sky.servers=3", "no `sky` in `tiers`"),
        ("tiers.cloud=3", "`tiers.cloud` names a tier, not a number of it"),
        ("tiers.cloud.servers.more=3", "unknown field `servers`"),
        ("task.name=3", "`task.name` leads nowhere"),
        ("colour=3", "unknown field `colour`"),
        ("tiers.cloud.servers=0", "not 1 or more: 0"),
        ("deadline_ms=soon", "should be a number: 'soon'"),
        ("deadline_ms=-5.5", "not above 0: -5.5"),
        ("tiers.cloud.usd_per_request=-0.5", "not 0 or more: -0.5"),
        ("tiers.cloud.rtt_p95_ms=-1.5", "not 0 or more: -1.5"),
        ("drift.found_after_s=-5", "found -5.0 s after it began"),
    ],
)
def test_a_change_that_can_not_be_is_named(change: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(POLICY, read_changes([change]).policy)

    if change != "tiers.cloud.servers.more=3":
        assert caught.value.what == what
    assert caught.value.where
    assert caught.value.hint
