"""Split files of pictures, of groups and of the cloud's answers."""

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
from edgewise.spec import read_split


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
    (tmp_path / "test.csv").write_text("text,label,lang,gpt\na,x,en,y\nd,y,de,y\n")
    (tmp_path / "train.csv").write_text("text,label,lang\nb,x,en\nc,y,de\n")

    assert read_split(spec, "test").examples[0] == Example("a", "x", "en", "y")
    # The cloud is not asked about what trains the edge.
    assert read_split(spec, "train").examples[0] == Example("b", "x", "en", None)


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
