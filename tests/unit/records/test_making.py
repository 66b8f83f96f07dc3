"""A record that is made often is like any other, and made in less time."""

import copy
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import Attempt, Outcome, Prediction
from edgewise.records.making import made_often


@made_often
@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Checks itself, and has each kind of default."""

    share: float
    names: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise InvalidRecord(f"a share of {self.share}", where="Checked.share", hint="0 to 1")


@made_often
@dataclass(frozen=True, slots=True)
class Mapped(Mapping[str, int]):
    """Has a base, and takes its fields by their places."""

    one: int
    other: int = 2

    def __getitem__(self, key: str) -> int:
        return {"one": self.one, "other": self.other}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("one", "other"))

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize("made", [Checked(share=0.5), Mapped(1), Prediction("a", 0.5, ())])
def test_a_record_that_is_made_often_is_frozen(made: Any) -> None:
    name = fields(made)[0].name

    with pytest.raises(FrozenInstanceError):
        setattr(made, name, 0.1)
    with pytest.raises(FrozenInstanceError):
        delattr(made, name)
    with pytest.raises((AttributeError, TypeError)):
        made.another = 1
    assert not hasattr(made, "__dict__")


def test_defaults_are_filled_in_and_those_of_factories_are_each_ones_own() -> None:
    first, second = Checked(share=0.5), Checked(share=0.5)
    first.notes.append("mine")

    assert (first.names, second.notes) == ((), [])
    assert Checked(share=0.5, notes=["given"]).notes == ["given"]


def test_it_checks_itself_when_it_is_made_and_when_it_is_changed() -> None:
    with pytest.raises(InvalidRecord) as caught:
        Checked(share=2.0)
    with pytest.raises(InvalidRecord):
        replace(Checked(share=0.5), share=-1.0)

    told = (caught.value.what, caught.value.where, caught.value.hint)
    assert told == ("a share of 2.0", "Checked.share", "0 to 1")


def test_it_is_of_its_own_class_equal_and_copied_as_others_are() -> None:
    made = Mapped(1, other=3)

    assert type(made) is Mapped
    assert dict(made) == {"one": 1, "other": 3}
    assert made == Mapped(1, 3) != Mapped(1)
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
    assert repr(Mapped(1)) == "Mapped(one=1, other=2)"


def test_arguments_that_are_wrong_are_refused() -> None:
    with pytest.raises(TypeError, match="share"):
        Checked()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="strange"):
        Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=1.0, strange=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        Checked(0.5)  # type: ignore[call-arg]
