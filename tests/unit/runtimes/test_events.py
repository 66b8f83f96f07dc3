"""Events out of bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.runtimes.events import EventReader

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def read(parts: list[bytes]) -> list[str]:
    reader = EventReader()
    return [event for part in parts for event in reader.feed(part)]


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    LINE_ENDS,
    st.lists(st.integers(0, 400)),
)
def test_events_are_the_same_wherever_the_network_cut_them(
    texts: list[str], end: str, cuts: list[int]
) -> None:
    sent = "".join(f"data: {text}{end}{end}" for text in texts).encode() + b"\n"
    edges = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})

    parts = [sent[a:b] for a, b in pairwise(edges)]

    assert read(parts) == texts


def test_lines_of_one_event_are_joined_and_others_are_not_read() -> None:
    sent = b"\xef\xbb\xbfevent: x\nid: 3\n: hush\ndata:a\ndata: b\n\n\nretry: 5\n\n"

    assert read([sent]) == ["a\nb"]


@pytest.mark.parametrize("piece", [b"x" * 1_000_000, b"data: " + b"x" * 1_000_000 + b"\n"])
def test_an_event_without_an_end_does_not_fill_the_memory(piece: bytes) -> None:
    with pytest.raises(ValueError, match="an event without an end"):
        read([piece] * 6)
