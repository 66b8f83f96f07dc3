"""What `edgewise init` finds out about a data file, and the project it writes."""

from pathlib import Path

import pytest
import yaml

from edgewise.errors import InvalidData
from edgewise.records import ProjectSpec
from edgewise.spec import check_overlap, load_spec, read_split, start_project


def start(folder: Path, *lines: str) -> Path:
    data, out = folder / "all.csv", folder / "project" / "edgewise.yaml"
    data.write_bytes(("\n".join(lines) + "\n").encode())
    (folder / "model").touch()
    start_project(data, folder / "model", out)
    return out


def inputs_of(spec: ProjectSpec, split: str) -> list[str]:
    return [one.input for one in read_split(spec, split).examples]


def columns(out: Path) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(out.read_text(encoding="utf-8"))["data"]["columns"]
    return found


def rows_of(out: Path) -> dict[str, list[str]]:
    return {
        path.stem: path.read_text(encoding="utf-8").splitlines()[1:]
        for path in (out.parent / "data").iterdir()
    }


def test_the_longest_column_is_the_input_and_the_named_one_the_label(tmp_path: Path) -> None:
    rows = [f"{i},a long review number {i},{'ab'[i % 2]}" for i in range(40)]

    out = start(tmp_path, "id,review,Sentiment", *rows)

    assert columns(out) == {"text": "review", "label": "Sentiment"}
    assert load_spec(out).model.source == tmp_path / "model"


def test_a_column_with_few_values_is_the_label_where_none_is_named(tmp_path: Path) -> None:
    rows = [f"{i},a long review number {i},{'ab'[i % 2]}" for i in range(40)]

    out = start(tmp_path, "id,review,mood", *rows)

    assert columns(out) == {"text": "review", "label": "mood"}


def test_a_file_where_nothing_looks_like_a_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        start(tmp_path, "id,review", *(f"{i},review {i}" for i in range(40)))

    assert "no column looks like a label among: id, review" in caught.value.what
    assert caught.value.where == f"{tmp_path / 'all.csv'}:1"
    assert caught.value.hint == "name one `label`"


@pytest.mark.parametrize("name", ["label", "text"])
def test_a_file_of_one_column_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidData) as caught:
        start(tmp_path, name, *(f"{'ab'[i % 2]}" for i in range(40)))

    assert name in caught.value.what
    assert caught.value.where == f"{tmp_path / 'all.csv'}:1"
    assert caught.value.hint


def test_pictures_start_an_image_project_with_a_size(tmp_path: Path) -> None:
    out = start(tmp_path, "file,label", *(f"pictures/{i}.PNG,{'ab'[i % 2]}" for i in range(40)))

    project = yaml.safe_load(out.read_text(encoding="utf-8"))
    assert project["task"] == "image-classification"
    assert project["model"]["image"] == {"height": 224, "width": 224}
    assert columns(out) == {"image": "file", "label": "label"}
    assert load_spec(out).model.image is not None


def test_pictures_are_found_from_the_files_that_name_them(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for i in range(40):
        (tmp_path / "pictures" / f"{i}.png").write_bytes(b"picture %d" % i)

    out = start(tmp_path, "image,label", *(f"pictures/{i}.png,{'ab'[i % 2]}" for i in range(40)))

    spec = load_spec(out)
    found = [one for name in ("train", "calibration", "test") for one in inputs_of(spec, name)]
    assert sorted(found) == sorted(str(tmp_path / "pictures" / f"{i}.png") for i in range(40))


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("été", "t-"),
        ("_drafts", "drafts"),
        (".hidden", "hidden"),
        ("日本", "project"),
        ("a b", "a-b"),
    ],
)
def test_a_folder_of_any_name_starts_a_project_that_can_be_read(
    tmp_path: Path, folder: str, name: str
) -> None:
    data, out = tmp_path / "all.csv", tmp_path / folder / "edgewise.yaml"
    data.write_text("text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(60)))

    (tmp_path / "model").touch()
    start_project(data, tmp_path / "model", out)

    assert load_spec(out).name == name


def test_a_carriage_return_within_a_text_stays_there(tmp_path: Path) -> None:
    out = start(tmp_path, "text,label", *(f'"line {i}\rnext",{"ab"[i % 2]}' for i in range(60)))

    spec = load_spec(out)
    found = [one for name in ("train", "calibration", "test") for one in inputs_of(spec, name)]
    assert sorted(found) == sorted(f"line {i}\rnext" for i in range(60))


def test_each_input_is_in_one_part_once_and_blank_ones_in_none(tmp_path: Path) -> None:
    rows = [f"text {i % 50},{'ab'[i % 2]}" for i in range(200)]

    out = start(tmp_path, "text,label", *rows, '" ",a', "text  7,b")

    parts = rows_of(out)
    whole = [row for part in parts.values() for row in part]
    assert sorted(whole) == sorted(f"text {i},{'ab'[i % 2]}" for i in range(50))
    assert set(parts) == {"train", "calibration", "test"}


def test_the_same_rows_in_another_order_stay_in_their_part(tmp_path: Path) -> None:
    rows = [f"text {i},{'ab'[i % 2]}" for i in range(60)]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()

    first = rows_of(start(tmp_path / "one", "text,label", *rows))
    second = rows_of(start(tmp_path / "two", "text,label", *reversed(rows)))

    assert {name: set(part) for name, part in first.items()} == {
        name: set(part) for name, part in second.items()
    }


def test_a_column_named_text_is_the_input_however_long_others_are(tmp_path: Path) -> None:
    rows = [f"https://example.com/reviews/{i:040d},short {i},{'ab'[i % 2]}" for i in range(40)]

    out = start(tmp_path, "url,Text,label", *rows)

    assert columns(out) == {"text": "Text", "label": "label"}


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = [f"text {i},{('a', 'b', ' ')[i % 3]}" for i in range(120)]

    spec = load_spec(start(tmp_path, "text,label", *rows))

    found = [one for name in ("train", "calibration", "test") for one in inputs_of(spec, name)]
    assert sorted(found) == sorted(f"text {i}" for i in range(120) if i % 3 < 2)


def test_a_file_whose_labels_are_all_blank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        start(tmp_path, "text,label", *(f"text {i}," for i in range(40)))

    assert caught.value.what == "no row has both `text` and `label`"


def test_a_label_of_few_rows_is_one_that_train_has(tmp_path: Path) -> None:
    rows = [f"text {i},{'ab'[i % 2]}" for i in range(60)]
    rows += [f"seldom {i},rare{i}" for i in range(40)]

    spec = load_spec(start(tmp_path, "text,label", *rows))

    check_overlap([read_split(spec, name) for name in ("train", "calibration", "test")])
