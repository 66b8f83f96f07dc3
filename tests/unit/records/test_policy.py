from collections.abc import Callable
from typing import Any

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import (
    BreakerRules,
    Policy,
    PreRouteRules,
    ProbeRules,
    TierKind,
    TierPolicy,
    digest,
    silent,
)


def policy(*names: str) -> Policy:
    tiers = tuple(TierPolicy(name=name, kind=TierKind.DEVICE) for name in names)
    return Policy(task="text-classification", labels=("a", "b"), tiers=tiers)


@pytest.mark.parametrize("names", [(), ("edge", "edge"), ("edge", "cloud", "edge")])
def test_tiers_without_a_name_each_are_invalid(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        policy(*names)

    assert caught.value.what == f"tier names are {list(names)}"
    assert caught.value.where == "Policy.tiers"
    assert caught.value.hint == "name each tier once"


@pytest.mark.parametrize(
    ("make", "where", "what"),
    [
        (lambda: BreakerRules(window=0), "BreakerRules.window", "not 1 or more: 0"),
        (lambda: ProbeRules(open_s=0.0), "ProbeRules.open_s", "not above 0: 0.0"),
        (lambda: ProbeRules(timeout_ms=-1.0), "ProbeRules.timeout_ms", "not above 0: -1.0"),
    ],
)
def test_rules_that_no_engine_could_keep_are_invalid(
    make: Callable[[], object], where: str, what: str
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        make()

    assert (caught.value.where, caught.value.what) == (where, what)
    assert caught.value.hint == "leave it out for its default"


@pytest.mark.parametrize("name", ["usd_per_quality", "late_ms_per_quality"])
def test_quality_that_is_worth_nothing_is_invalid(name: str) -> None:
    worth: dict[str, Any] = {name: 0.0}

    with pytest.raises(InvalidRecord) as caught:
        PreRouteRules(min_gain=0.1, **worth)

    assert (caught.value.where, caught.value.what) == (f"PreRouteRules.{name}", "not above 0: 0.0")
    assert caught.value.hint == "leave it out where it does not count"


def test_version_changes_with_the_order_of_the_tiers() -> None:
    assert digest(policy("edge", "cloud")) != digest(policy("cloud", "edge"))


def test_silent_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent("stage", 1, 2)

    assert capsys.readouterr() == ("", "")
