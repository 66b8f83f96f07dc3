import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import Policy, TierKind, TierPolicy, digest, silent


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


def test_version_changes_with_the_order_of_the_tiers() -> None:
    assert digest(policy("edge", "cloud")) != digest(policy("cloud", "edge"))


def test_silent_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent("stage", 1, 2)

    assert capsys.readouterr() == ("", "")
