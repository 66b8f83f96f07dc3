"""What a plan shows holds together, or says why not."""

from dataclasses import replace

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import DecisionBin, LatencyCurve

BIN = DecisionBin(
    confidence_low=0.5,
    confidence_high=0.6,
    n=1,
    edge_right_share=1.0,
    cloud_right_share=None,
    kept=True,
)


@pytest.mark.parametrize(
    "points",
    [(), ((0.5, 2.0), (0.9, 1.0)), ((0.5, 1.0), (0.5, 2.0)), ((1.5, 1.0),), ((0.5, -1.0),)],
)
def test_a_curve_rises(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        LatencyCurve(option="edge", points=points, is_measured=True)

    assert caught.value.what == "its points are not shares of 0..1 and times that rise with them"
    assert caught.value.where == "LatencyCurve of edge"
    assert caught.value.hint == "give (share, ms) from the fastest answers to the slowest"


@pytest.mark.parametrize(
    ("changes", "what", "hint"),
    [
        ({"n": 0}, "0 requests of which 1 and 0 are right", "at least 1 request"),
        ({"edge_right_share": 1.5}, "1 requests of which 1.5 and 0 are right", "0 to 1"),
        ({"cloud_right_share": -1.0}, "1 requests of which 1 and -1 are right", "0 to 1"),
        ({"confidence_low": 0.7}, "confidence from 0.7 to 0.6", "give low <= high"),
    ],
)
def test_a_bin_has_requests_and_shares(changes: dict[str, float], what: str, hint: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        replace(BIN, **changes)  # type: ignore[arg-type]

    assert caught.value.what == what
    assert caught.value.where == "DecisionBin"
    assert hint in caught.value.hint
