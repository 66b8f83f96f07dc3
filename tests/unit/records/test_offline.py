"""How much may wait for the network."""

import pytest

from edgewise.errors import InvalidRecord
from edgewise.records import OfflineRules


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_count": 0},
        {"max_bytes": -1},
        {"max_answer_bytes": 0},
        {"max_tries": 0},
        {"max_age_s": 0.0},
        {"max_age_s": float("nan")},
        {"keep_answers_s": float("inf")},
    ],
)
def test_limits_are_above_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRecord) as caught:
        OfflineRules(path="q", **wrong)  # type: ignore[arg-type]

    assert caught.value.what == "a limit is not above 0"
    assert caught.value.where == "OfflineRules"
    assert caught.value.hint == "leave it out for its default"
