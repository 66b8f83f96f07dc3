"""What the cloud's answers cost, which rows it may see, and where its answers come from."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.errors import InvalidData, InvalidSpec
from edgewise.pipeline.answers import CloudCaller, inputs_of, may_leave
from edgewise.pipeline.cache import Cache
from edgewise.records import (
    ApiKey,
    CloudAnswers,
    CloudTier,
    DataSpec,
    Example,
    ModelSpec,
    PrivacyRules,
    ProjectSpec,
    Split,
    Task,
    silent,
)
from edgewise.spec import read_split

LABELS = ("negative", "positive")
CLOUD = CloudTier(endpoint="http://127.0.0.1:9", usd_per_request=0.5, budget_usd=1.0)
SPEC = ProjectSpec(
    name="tiny",
    task=Task.TEXT_CLASSIFICATION,
    model=ModelSpec(source=Path("model")),
    data=DataSpec(train=Path("a"), calibration=Path("b"), test=Path("c")),
    cloud=CLOUD,
)


def split(*texts: str, answers: tuple[str | None, ...] | None = None) -> Split:
    given = answers if answers is not None else (None,) * len(texts)
    examples = [Example(t, "positive", None, a) for t, a in zip(texts, given, strict=True)]
    return Split(name="calibration", examples=tuple(examples), sha256="ab")


def no_secret(_: ApiKey) -> str:
    raise InvalidSpec("no secret is needed here")


def caller(folder: Path, cloud: CloudTier) -> CloudCaller:
    return CloudCaller(SPEC, cloud, LABELS, Cache(folder), no_secret)


def test_calls_cost_their_number_times_the_price(tmp_path: Path) -> None:
    assert caller(tmp_path, CLOUD).check_budget([split("a"), split("b")]) == 1.0


def test_calls_beyond_the_budget_are_refused_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        caller(tmp_path, CLOUD).check_budget([split("a", "b"), split("c")])

    assert caught.value.what == "3 cloud calls cost 1.50 USD, and budget_usd is 1.00"
    assert caught.value.where == "edgewise.yaml: tiers.cloud"
    assert "raise budget_usd" in caught.value.hint


def test_calls_need_an_endpoint(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        caller(tmp_path, replace(CLOUD, endpoint=None)).check_budget([split("a")])

    assert "there is no endpoint" in caught.value.what
    assert "assume_right" in caught.value.hint


@pytest.mark.parametrize("answers", [CloudAnswers.ASSUME_RIGHT, CloudAnswers.COLUMN])
def test_what_is_not_called_costs_nothing(tmp_path: Path, answers: CloudAnswers) -> None:
    many = [split(*"abcdefgh")]

    assert caller(tmp_path, replace(CLOUD, answers=answers)).check_budget(many) == 0.0


def test_an_assumed_answer_is_the_label(tmp_path: Path) -> None:
    assumed = replace(CLOUD, answers=CloudAnswers.ASSUME_RIGHT)

    found = caller(tmp_path, assumed).labels_for(split("a", "b"), silent)

    assert found == ("positive", "positive")


def test_answers_of_a_column_are_taken_as_they_stand(tmp_path: Path) -> None:
    column = replace(CLOUD, answers=CloudAnswers.COLUMN, answers_column="gpt")

    found = caller(tmp_path, column).labels_for(split("a", "b", answers=LABELS), silent)

    assert found == LABELS


@pytest.mark.parametrize("answer", ["Positive", "", None])
def test_an_answer_of_a_column_that_is_no_label_is_named(
    tmp_path: Path, answer: str | None
) -> None:
    column = replace(CLOUD, answers=CloudAnswers.COLUMN, answers_column="gpt")
    rows = split("a", "b", answers=("negative", answer))

    with pytest.raises(InvalidData) as caught:
        caller(tmp_path, column).labels_for(rows, silent)

    assert caught.value.what == f"the cloud's answer `{answer or ''}` is no label"
    assert caught.value.where == "calibration split, line 3, column `gpt`"
    assert caught.value.hint == "labels are: negative, positive"


def test_an_answer_that_is_no_label_is_named_by_its_line_where_rows_before_it_stay(
    tmp_path: Path,
) -> None:
    (tmp_path / "b.csv").write_text(
        'text,label,gpt\n"two\nlines, of a@example.com",positive,positive\n\n'
        "good,positive,positive\nbad,negative,neither\n"
    )
    column = replace(CLOUD, answers=CloudAnswers.COLUMN, answers_column="gpt")
    spec = replace(
        SPEC,
        cloud=column,
        data=replace(SPEC.data, calibration=tmp_path / "b.csv"),
        privacy=PrivacyRules(detect=("email",)),
    )
    leaving = may_leave(spec, read_split(spec, "calibration"))

    with pytest.raises(InvalidData) as caught:
        caller(tmp_path, column).labels_for(leaving, silent)

    assert [one.input for one in leaving.examples] == ["good", "bad"]
    assert caught.value.where == "calibration split, line 6, column `gpt`"


def test_an_input_has_the_key_of_its_task() -> None:
    pictures = replace(SPEC, task=Task.IMAGE_CLASSIFICATION)

    assert inputs_of(SPEC, split("a").examples) == [{"text": "a"}]
    assert inputs_of(pictures, split("a.png").examples) == [{"image": "a.png"}]


def test_rows_that_privacy_keeps_near_are_not_shown_to_the_cloud() -> None:
    private = replace(SPEC, privacy=PrivacyRules(detect=("email",)))
    whole = split("write to ann@example.org", "a fine day")

    assert [e.input for e in may_leave(private, whole).examples] == ["a fine day"]
    assert may_leave(SPEC, whole) == whole


def test_answers_are_kept_by_the_rows_that_may_leave_and_not_by_their_number() -> None:
    whole = split("write to ann@example.org", "call +1 212 555 0123", "a fine day")
    rules = (PrivacyRules(detect=("email",)), PrivacyRules(detect=("phone",)))

    left = [may_leave(replace(SPEC, privacy=one), whole) for one in rules]

    assert [len(one.examples) for one in left] == [2, 2]
    assert len({one.sha256 for one in (whole, *left)}) == 3


def test_without_a_cloud_no_row_is_left_out() -> None:
    private = replace(SPEC, cloud=None, privacy=PrivacyRules(detect=("email",)))
    whole = split("write to ann@example.org")

    assert may_leave(private, whole) == whole


def test_a_split_that_may_not_leave_at_all_is_refused() -> None:
    private = replace(SPEC, privacy=PrivacyRules(detect=("email",)))

    with pytest.raises(InvalidData) as caught:
        may_leave(private, split("write to ann@example.org"))

    assert "every row of the calibration split" in caught.value.what
    assert caught.value.where == "edgewise.yaml: privacy"
    assert "detect fewer kinds" in caught.value.hint
