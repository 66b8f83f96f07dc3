"""An image is known by its bytes: not by its name, and not by the folder it lies in."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgewise.errors import InvalidData
from edgewise.optimize import held_out
from edgewise.records import Columns, DataSpec, ModelSpec, ProjectSpec, Split, Task
from edgewise.spec import check_overlap, read_split


def write(folder: Path, images: dict[str, bytes]) -> ProjectSpec:
    """Write a split of images; the reader of splits looks at bytes, not at pixels."""
    folder.mkdir()
    rows = ["image,label"]
    for number, (name, content) in enumerate(images.items()):
        (folder / name).write_bytes(content)
        rows.append(f"{name},{'ab'[number % 2]}")
    path = folder / "split.csv"
    path.write_text("\n".join(rows) + "\n")
    return ProjectSpec(
        name="images",
        task=Task.IMAGE_CLASSIFICATION,
        model=ModelSpec(source=folder / "model.onnx"),
        data=DataSpec(train=path, calibration=path, test=path, columns=Columns(input="image")),
    )


IMAGES = {f"{number:03d}.png": f"pixels {number}".encode() for number in range(200)}


def read(folder: Path, images: dict[str, bytes]) -> Split:
    return read_split(write(folder, images), "train")


def test_a_moved_project_has_the_same_splits(tmp_path: Path) -> None:
    here, there = read(tmp_path / "here", IMAGES), read(tmp_path / "there", IMAGES)

    assert here.sha256 == there.sha256
    near = [Path(e.input).name for e in held_out(here).examples]
    assert near == [Path(e.input).name for e in held_out(there).examples]
    assert 20 <= len(near) <= 60


def test_another_image_under_the_same_name_is_another_split(tmp_path: Path) -> None:
    changed = {**IMAGES, "007.png": b"other pixels"}

    assert read(tmp_path / "a", IMAGES).sha256 != read(tmp_path / "b", changed).sha256


def test_one_image_under_two_names_in_two_splits_is_an_overlap(tmp_path: Path) -> None:
    train = read(tmp_path / "a", {"x.png": b"1", "y.png": b"2"})
    test = replace(read(tmp_path / "b", {"z.png": b"3", "w.png": b"2"}), name="test")

    with pytest.raises(InvalidData) as caught:
        check_overlap((train, test))

    assert "train row 2 and test row 2" in caught.value.what
    assert caught.value.where == "data"
    assert "unseen" in caught.value.hint
