"""What the decision may know of an input."""

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewise.errors import InvalidData, UsageError
from edgewise.records import (
    Input,
    Policy,
    PrivacyRules,
    RequestFacts,
    TierKind,
    TierPolicy,
    decode,
    encode,
)
from edgewise.route.facts import Asked, facts_of, new_request_id, size_bytes

POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(TierPolicy(name="edge", kind=TierKind.DEVICE, max_input_bytes=100),),
    privacy=PrivacyRules(detect=("email",), residency={"eu": ("edge",)}),
)


def look(one: Input, *, counted: bool = True, deadline_ms: float | None = None) -> RequestFacts:
    return facts_of(
        POLICY,
        one,
        lambda _: 7 if counted else None,
        Asked(request_id="r", deadline_ms=deadline_ms),
    )


def test_facts_hold_sizes_flags_and_kinds_but_no_payload() -> None:
    seen = look({"text": "to ana@example.org", "privacy_flag": 1, "region": "eu"})

    assert (seen.input_length, seen.input_bytes) == (7, 20)
    assert (seen.private, seen.detected, seen.region) == (True, ("email",), "eu")
    assert "ana" not in repr(seen)


def test_without_a_local_model_bytes_are_counted() -> None:
    assert look({"text": "hello"}, counted=False).input_length == 5


def test_what_no_tier_takes_is_not_tokenized() -> None:
    assert look({"text": "a" * 101}).input_length == 101


@pytest.mark.parametrize("wrong", ["just a text", ["a"], None])
def test_an_input_that_is_no_mapping_is_refused(wrong: Input) -> None:
    with pytest.raises(InvalidData) as caught:
        look(wrong)

    assert caught.value.what.startswith("the input is a ")
    assert (caught.value.where, caught.value.hint) == (
        "input",
        'give a mapping, like {"text": "..."}',
    )


def test_a_region_that_is_no_name_is_refused() -> None:
    with pytest.raises(InvalidData) as caught:
        look({"text": "hello", "region": 49})

    assert caught.value.what == "`region` is a int"
    assert (caught.value.where, caught.value.hint) == ("input", 'give a name, like "eu"')


def test_what_is_too_long_for_a_name_is_refused_before_it_is_logged() -> None:
    with pytest.raises(InvalidData, match="`region` has 300 characters") as region:
        look({"text": "a", "region": "x" * 300})
    asked = Asked(force_location="x" * 300)
    with pytest.raises(UsageError, match="the location has 300 characters") as location:
        facts_of(POLICY, {"text": "a"}, lambda _: 7, asked)

    assert (region.value.where, region.value.hint) == ("input", 'give a name, like "eu"')
    assert location.value.where == "force_location"
    assert location.value.hint == "give a tier's name, edge or cloud"


@pytest.mark.parametrize("deadline_ms", [0.0, -1.0, float("nan"), float("inf"), "5"])
def test_a_deadline_that_is_not_above_zero_is_refused(deadline_ms: Any) -> None:
    with pytest.raises(UsageError) as caught:
        look({"text": "hello"}, deadline_ms=deadline_ms)

    assert caught.value.what == f"not a finite number above 0: {deadline_ms!r}"
    assert caught.value.where == "deadline_ms"
    assert caught.value.hint == "give milliseconds, like 100, or leave it out for no deadline"


@pytest.mark.parametrize(
    ("asked", "what", "where", "hint"),
    [
        ({"caller": 5}, "the caller is a int", "caller", 'give a name, like "ana"'),
        (
            {"caller": "a" * 300},
            "the caller has 300 characters",
            "caller",
            'give a name, like "ana"',
        ),
        ({"caller": None}, "the caller is a NoneType", "caller", 'give a name, like "ana"'),
        (
            {"force_location": 5},
            "the location is a int",
            "force_location",
            "give a tier's name, edge or cloud",
        ),
    ],
)
def test_what_is_no_name_is_refused_before_it_is_logged(
    asked: dict[str, Any], what: str, where: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        facts_of(POLICY, {"text": "hello"}, lambda _: 7, Asked(**asked))

    assert (caught.value.what, caught.value.where, caught.value.hint) == (what, where, hint)


def test_what_is_asked_for_can_be_read_back_from_a_log() -> None:
    asked = Asked(deadline_ms=np.float32(5.0), idempotent=np.bool_(True), allow_late=0)  # type: ignore[arg-type]

    seen = facts_of(POLICY, {"text": "hello"}, lambda _: 7, asked)

    assert decode(RequestFacts, json.loads(json.dumps(encode(seen)))) == seen


def test_every_kind_of_value_has_a_size(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"123")

    assert size_bytes("jörg") == 5
    assert size_bytes(b"1234") == 4
    assert size_bytes(np.zeros((2, 3), dtype=np.uint8)) == 6
    assert size_bytes(image) == 3
    assert size_bytes(tmp_path / "absent.png") == 0
    assert size_bytes(True) == 0


def test_ids_of_requests_are_random_uuids() -> None:
    ids = [new_request_id() for _ in range(200)]

    assert len(set(ids)) == 200
    assert all(uuid.UUID(one).version == 4 and uuid.UUID(one).hex == one for one in ids)
    assert all(uuid.UUID(one).variant == uuid.RFC_4122 for one in ids)
    assert {one[16] for one in ids} == set("89ab")
