"""A data file on its own: its columns say what it is for."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidData
from edgewise.records import Task
from edgewise.spec import read_sample


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_text_with_labels_is_for_classification(tmp_path: Path) -> None:
    task, split = read_sample(written(tmp_path, "a.csv", "text,label\nfine,good\nawful, bad\n"))

    assert task is Task.TEXT_CLASSIFICATION
    assert [(one.input, one.label) for one in split.examples] == [
        ("fine", "good"),
        ("awful", "bad"),
    ]


def test_text_alone_is_for_feature_extraction(tmp_path: Path) -> None:
    task, split = read_sample(written(tmp_path, "a.csv", "text\nfine\nawful\n"))

    assert task is Task.FEATURE_EXTRACTION
    assert [(one.input, one.label) for one in split.examples] == [("fine", ""), ("awful", "")]


def test_json_lines_and_columns_by_other_names_are_read(tmp_path: Path) -> None:
    lines = '{"review": "fine", "stars": 5}\n\n{"review": "awful", "stars": 1}\n'

    task, split = read_sample(written(tmp_path, "a.jsonl", lines), "review", "stars")

    assert task is Task.TEXT_CLASSIFICATION
    assert [one.label for one in split.examples] == ["5", "1"]


def test_the_hash_tells_another_label_and_another_order(tmp_path: Path) -> None:
    texts = ("text,label\na,x\nb,y\n", "text,label\na,x\nb,x\n", "text,label\nb,y\na,x\n")
    hashes = {
        read_sample(written(tmp_path, f"{at}.csv", text))[1].sha256 for at, text in enumerate(texts)
    }

    assert len(hashes) == 3


def test_images_are_found_beside_the_file_and_told_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"one")

    task, split = read_sample(written(tmp_path, "a.csv", "image,label\none.png,x\n"))

    assert task is Task.IMAGE_CLASSIFICATION
    assert split.examples[0].input == str((tmp_path / "one.png").resolve())
    assert split.examples[0].content is not None


@pytest.mark.parametrize(
    ("name", "text", "what", "line"),
    [
        ("a.csv", "words\nfine\n", "no column `text`; there are: words", 1),
        ("a.csv", "text,label\nfine,\n", "column `label` is empty", 2),
        ("a.csv", "image\na.png\n", "images without labels", 1),
        ("a.jsonl", '{"text": "fine"}\n{"text": ["no"]}\n', "no text: ['no']", 2),
        ("a.jsonl", '{"text": "fine"}\n{"other": 1}\n', "column `text` is empty", 2),
        ("a.jsonl", "[1]\n", "not a JSON object", 1),
    ],
)
def test_what_can_not_be_used_is_said_with_its_line(
    tmp_path: Path, name: str, text: str, what: str, line: int
) -> None:
    path = written(tmp_path, name, text)

    with pytest.raises(InvalidData) as caught:
        read_sample(path)

    assert (caught.value.what, caught.value.where) == (what, f"{path}:{line}")
    assert caught.value.hint
