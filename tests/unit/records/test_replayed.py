"""A replay holds together, or says why not."""

from typing import Any

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import OptionReplay, TraceReplay

REPLAY = {"trace": "t.csv", "requests": 2, "span_s": 1.0, "per_s": 1.0, "gap_cv2": 0.0}


@pytest.mark.parametrize(
    "points", [((0.5, 2.0), (0.9, 1.0)), ((0.5, 1.0), (0.5, 2.0)), ((1.5, 1.0),), ((0.5, -1.0),)]
)
def test_the_points_of_an_option_rise(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        OptionReplay(option="edge", points=points)

    assert caught.value.what == "its points are not shares of 0..1 and times that rise with them"
    assert caught.value.where == "OptionReplay of edge"
    assert caught.value.hint == "give (share, ms) from the fastest answers to the slowest"


@pytest.mark.parametrize("ratio", [0.9, float("inf")])
def test_the_busiest_hour_is_no_calmer_than_the_mean(ratio: float) -> None:
    with pytest.raises(InvalidRecord) as caught:
        TraceReplay(**REPLAY, peak_ratio=ratio, input_tokens=1.0, output_tokens=1.0)  # type: ignore[arg-type]

    assert caught.value.what == f"the busiest hour is {ratio:g} times the mean"
    assert caught.value.where == "TraceReplay of t.csv"
    assert caught.value.hint == "give a ratio of at least 1, or none"


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_private_is_a_share(share: float) -> None:
    given: dict[str, Any] = {**REPLAY, "private_share": share}
    with pytest.raises(InvalidRecord) as caught:
        TraceReplay(**given, peak_ratio=None, input_tokens=1.0, output_tokens=1.0)

    assert caught.value.what == f"not a share: {share:g}"
    assert caught.value.where == "TraceReplay of t.csv"
    assert caught.value.hint == "give a number from 0 to 1"


def test_an_option_is_found_by_its_name_and_a_time_by_its_share() -> None:
    edge = OptionReplay(option="edge", points=((0.5, 1.0), (0.95, 3.0)))
    replay = TraceReplay(
        **REPLAY,  # type: ignore[arg-type]
        peak_ratio=None,
        input_tokens=1.0,
        output_tokens=1.0,
        options=(edge,),
    )

    assert replay.of("edge") is edge
    assert replay.of("cloud") is None
    assert (edge.within_ms(0.95), edge.within_ms(0.99)) == (3.0, None)
