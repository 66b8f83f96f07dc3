"""A target in one word: its parts, and what it says of those it can't read."""

import pytest

from edgewise.errors import UsageError
from edgewise.records import EdgeTier
from edgewise.spec import parse_target

MIB = 2**20


def test_every_part_is_read_in_any_order() -> None:
    edge, latency_ms = parse_target("latency=0.1s, threads=2,storage=16MiB,memory=256MiB")

    assert edge == EdgeTier(memory_bytes=256 * MIB, storage_bytes=16 * MIB, threads=2)
    assert latency_ms == 100.0


def test_here_sets_no_limit() -> None:
    assert parse_target("here") == (EdgeTier(), None)


def test_a_part_left_out_is_no_limit() -> None:
    assert parse_target("memory=1GiB") == (EdgeTier(memory_bytes=1024 * MIB), None)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("memroy=1GiB", "not a part of a target: `memroy=1GiB`", "did you mean `memory=…`?"),
        ("", "not a part of a target: ``", "write it like `memory=256MiB`"),
        ("memory", "not a part of a target: `memory`", "did you mean `memory=…`?"),
        ("memory=", "not a part of a target: `memory=`", "did you mean `memory=…`?"),
        ("threads=1,threads=2", "`threads` is given twice", "leave one out"),
        ("threads=0", "not a number of threads: `0`", "from 1 to 256"),
        ("threads=two", "not a number of threads: `two`", "from 1 to 256"),
        ("memory=lots", "not a size: `lots`", "write it like `256MiB`"),
        ("latency=soon", "not a duration: `soon`", "write it like `100ms`"),
    ],
)
def test_what_is_no_target_is_said_with_its_part(text: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text)

    assert (caught.value.what, caught.value.where, caught.value.hint) == (what, "--target", hint)
