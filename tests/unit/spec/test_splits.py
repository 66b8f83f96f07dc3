"""Split files of pictures, of groups and of the cloud's answers."""

import csv
import hashlib
from pathlib import Path

import pytest

from edgewise.errors import InvalidData
from edgewise.records import (
    CloudAnswers,
    CloudTier,
    Columns,
    DataSpec,
    Example,
    ModelSpec,
    ProjectSpec,
    Task,
)
from edgewise.spec import check_overlap, read_columns, read_split


def project(folder: Path, task: Task, columns: Columns, cloud: CloudTier | None) -> ProjectSpec:
    paths = (folder / f"{name}.csv" for name in ("train", "calibration", "test"))
    train, calibration, test = paths
    return ProjectSpec(
        name="tiny",
        task=task,
        model=ModelSpec(source=folder / "model"),
        data=DataSpec(train=train, calibration=calibration, test=test, columns=columns),
        cloud=cloud,
    )


def pictures(folder: Path) -> ProjectSpec:
    return project(folder, Task.IMAGE_CLASSIFICATION, Columns(input="file"), None)


def test_pictures_are_found_beside_their_file(tmp_path: Path) -> None:
    (tmp_path / "white.png").write_bytes(b"white")
    (tmp_path / "black.png").write_bytes(b"black")
    (tmp_path / "test.csv").write_text("file,label\nwhite.png,bright\nblack.png,dark\n")

    found = read_split(pictures(tmp_path), "test")

    content = hashlib.sha256(b"white").hexdigest()
    white, black = found.examples
    assert white == Example(str(tmp_path / "white.png"), "bright", content=content)
    assert black.input == str(tmp_path / "black.png")


def test_an_absent_picture_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "white.png").touch()
    (tmp_path / "test.csv").write_text("file,label\nwhite.png,bright\nblack.png,dark\n")

    with pytest.raises(InvalidData) as caught:
        read_split(pictures(tmp_path), "test")

    assert caught.value.what == "no such image: black.png"
    assert caught.value.where == f"{tmp_path / 'test.csv'}:3"
    assert "relative to the file" in caught.value.hint


def test_groups_and_the_clouds_answers_are_read_where_they_are_named(tmp_path: Path) -> None:
    cloud = CloudTier(answers=CloudAnswers.COLUMN, answers_column="gpt")
    spec = project(tmp_path, Task.TEXT_CLASSIFICATION, Columns(group="lang"), cloud)
    (tmp_path / "test.csv").write_text("text,label,lang,gpt\na,x ,en, y\nd,y,de,y\n")
    (tmp_path / "train.csv").write_text("text,label,lang\nb,x,en\nc,y,de\n")

    assert read_split(spec, "test").examples[0] == Example("a", "x", "en", "y")
    # The cloud is not asked about what trains the edge.
    assert read_split(spec, "train").examples[0] == Example("b", "x", "en", None)


def test_clusters_are_read_and_are_part_of_what_a_split_is(tmp_path: Path) -> None:
    spec = project(tmp_path, Task.TEXT_CLASSIFICATION, Columns(cluster="user"), None)
    hashes = set()
    for user in ("ann", "bob"):
        (tmp_path / "test.csv").write_text(f"text,label,user\na,x,{user}\nb,y,eve\n")
        split = read_split(spec, "test")
        hashes.add(split.sha256)
        assert [example.cluster for example in split.examples] == [user, "eve"]

    assert len(hashes) == 2


@pytest.mark.parametrize("empty", ["", " "])
def test_a_row_of_no_cluster_is_named(tmp_path: Path, empty: str) -> None:
    spec = project(tmp_path, Task.TEXT_CLASSIFICATION, Columns(cluster="user"), None)
    (tmp_path / "calibration.csv").write_text(f"text,label,user\na,x,bob\nb,y,{empty}\n")

    with pytest.raises(InvalidData) as caught:
        read_split(spec, "calibration")

    assert caught.value.what == "column `user` is empty"
    assert caught.value.where == f"{tmp_path / 'calibration.csv'}:3"
    assert caught.value.hint == "name the speaker, user or session of each row, or remove the row"


def test_a_cluster_in_two_splits_is_named(tmp_path: Path) -> None:
    spec = project(tmp_path, Task.TEXT_CLASSIFICATION, Columns(cluster="user"), None)
    (tmp_path / "train.csv").write_text("text,label,user\na,x,ann\nb,y,bob\n")
    (tmp_path / "test.csv").write_text("text,label,user\nc,x,bob\nd,y,eve\n")

    with pytest.raises(InvalidData) as caught:
        check_overlap((read_split(spec, "train"), read_split(spec, "test")))

    assert caught.value.what == "1 cluster(s) stand in two splits, first: `bob` in train and test"
    assert caught.value.where == "data"
    assert caught.value.hint == "move each to one: rows of a cluster are alike"


def test_columns_are_read_as_words_row_by_row(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("text,gpt,user\na,x,7\nb,y,8\n")
    (tmp_path / "labels.jsonl").write_text('{"text": "a", "user": 7}\n')
    (tmp_path / "holes.csv").write_text("text,gpt\na,\n")

    assert read_columns(tmp_path / "labels.csv", ["gpt", "user"]) == {
        "gpt": ("x", "y"),
        "user": ("7", "8"),
    }
    assert read_columns(tmp_path / "labels.jsonl", ["user"]) == {"user": ("7",)}
    with pytest.raises(InvalidData) as absent:
        read_columns(tmp_path / "labels.csv", ["users"])
    with pytest.raises(InvalidData) as empty:
        read_columns(tmp_path / "holes.csv", ["gpt"])
    with pytest.raises(InvalidData) as unlike:
        read_columns(tmp_path / "labels.csv", ["zone"])
    assert absent.value.hint == "did you mean `user`?"
    assert unlike.value.hint == "name one of these"
    assert empty.value.where == f"{tmp_path / 'holes.csv'}:2"


def test_a_long_text_is_read_and_leaves_the_limit_of_others_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,topic\n" + "a" * 200_000 + ",food\n", encoding="utf-8")
    before = csv.field_size_limit()

    columns = read_columns(path, ["topic"])

    assert columns["topic"] == ("food",)
    assert csv.field_size_limit() == before


def test_a_split_without_the_column_of_answers_is_refused(tmp_path: Path) -> None:
    cloud = CloudTier(answers=CloudAnswers.COLUMN, answers_column="gpt")
    spec = project(tmp_path, Task.TEXT_CLASSIFICATION, Columns(), cloud)
    (tmp_path / "test.csv").write_text("text,label\na,x\n")

    with pytest.raises(InvalidData) as caught:
        read_split(spec, "test")

    assert caught.value.what == "no column `gpt`; there are: text, label"


def test_a_changed_answer_of_the_cloud_is_another_split(tmp_path: Path) -> None:
    cloud = CloudTier(answers=CloudAnswers.COLUMN, answers_column="gpt")
    spec = project(tmp_path, Task.TEXT_CLASSIFICATION, Columns(), cloud)
    hashes = set()
    for answer in ("x", "y"):
        (tmp_path / "test.csv").write_text(f"text,label,gpt\na,x,{answer}\nb,y,y\n")
        hashes.add(read_split(spec, "test").sha256)

    assert len(hashes) == 2


def test_a_folder_in_the_place_of_a_split_is_named(tmp_path: Path) -> None:
    (tmp_path / "test.csv").mkdir()

    with pytest.raises(InvalidData) as caught:
        read_split(pictures(tmp_path), "test")

    assert caught.value.what.startswith("can't be read: ")
    assert caught.value.where == str(tmp_path / "test.csv")
    assert caught.value.hint
