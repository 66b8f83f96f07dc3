"""What lies on the disk is sealed."""

import pytest

from edgewise.errors import IntegrityError
from edgewise.route.sealing import Sealer

SALT = b"0123456789abcdef"


def test_what_was_sealed_opens_with_its_key_alone() -> None:
    sealed = Sealer("key", SALT).seal(b"my iban", "r1")

    assert Sealer("key", SALT).unseal(sealed, "r1") == b"my iban"
    assert b"iban" not in sealed
    for other in (Sealer("another", SALT), Sealer("key", b"another salt 012")):
        with pytest.raises(IntegrityError) as caught:
            other.unseal(sealed, "r1")
        assert caught.value.what == "sealed by another key, or changed"
        assert caught.value.hint == "give the key that sealed it"


@pytest.mark.parametrize("place", [0, 11, 12, -1])
def test_a_changed_byte_is_found(place: int) -> None:
    sealer = Sealer("key", SALT)
    sealed = bytearray(sealer.seal(b"my iban", "r1"))
    sealed[place] ^= 1

    with pytest.raises(IntegrityError):
        sealer.unseal(bytes(sealed), "r1")


@pytest.mark.parametrize("short", [b"", b"0", b"0" * 20])
def test_what_is_too_short_to_be_sealed_is_no_crash(short: bytes) -> None:
    with pytest.raises(IntegrityError):
        Sealer("key", SALT).unseal(short, "r1")


def test_what_it_is_about_can_not_be_changed() -> None:
    sealer = Sealer("key", SALT)

    with pytest.raises(IntegrityError):
        sealer.unseal(sealer.seal(b"my iban", 'r1 ["edge"]'), 'r1 ["edge", "cloud"]')


def test_the_same_bytes_are_sealed_differently_each_time() -> None:
    sealer = Sealer("key", SALT)

    assert len({sealer.seal(b"yes", "r1") for _ in range(100)}) == 100
