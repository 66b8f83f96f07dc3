"""A column of a file as inputs, and every way in which it can't be."""

import json
from pathlib import Path

import pytest

from edgewise.errors import InvalidData
from edgewise.records import Task
from edgewise.spec import read_inputs

TEXT, IMAGE = Task.TEXT_CLASSIFICATION, Task.IMAGE_CLASSIFICATION


def test_a_csv_column_becomes_texts_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,"one, two"\n2,three\n')

    assert read_inputs(tmp_path / "a.csv", TEXT) == [{"text": "one, two"}, {"text": "three"}]


def test_a_jsonl_key_becomes_texts_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"q": "é\\n!", "n": 1}\n\n{"q": "b"}\n', encoding="utf-8")

    assert read_inputs(tmp_path / "a.jsonl", TEXT, "q") == [{"text": "é\n!"}, {"text": "b"}]


def test_a_text_may_hold_what_ends_a_line_elsewhere(tmp_path: Path) -> None:
    texts = ["one\u2028two", "three\x85four", "five\x0bsix\x0c", "seven"]
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join(lines).encode())

    assert [one["text"] for one in read_inputs(tmp_path / "a.jsonl", TEXT)] == texts


def test_image_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.png").write_bytes(b"png")
    (tmp_path / "data" / "a.jsonl").write_text('{"image": "x.png"}\n')

    (only,) = read_inputs(tmp_path / "data" / "a.jsonl", IMAGE)

    assert only == {"image": str((tmp_path / "data" / "x.png").resolve())}


@pytest.mark.parametrize(
    ("name", "content", "what", "line"),
    [
        ("a.csv", b"txt\na\n", "no column `text`; there are: txt", ":1"),
        ("a.csv", b"text\n", "the file has no rows", ""),
        ("a.jsonl", b"", "the file has no rows", ""),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', "not JSON: Expecting ':' delimiter", ":2"),
        ("a.jsonl", b"[1]\n", "not a JSON object", ":1"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "not JSON: maximum recursion depth exceeded", ":1"),
        ("a.jsonl", b"9" * 5_000, "not JSON: Exceeds the limit (4300 digits)", ":1"),
        ("a.jsonl", b'{"txt": "a", "n": 1}\n', "no text under `text`; there are: txt, n", ":1"),
        ("a.jsonl", b'{"text": 5}\n', "no text under `text`; there are: text", ":1"),
        ("a.jsonl", b'{"text": "\xff"}\n', "not UTF-8 (byte 10)", ""),
    ],
)
def test_what_can_not_be_used_is_named_by_line(
    tmp_path: Path, name: str, content: bytes, what: str, line: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InvalidData) as caught:
        read_inputs(path, TEXT)

    assert caught.value.what[: len(what)] == what
    assert caught.value.where == f"{path}{line}"
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidData) as caught:
        read_inputs(tmp_path / name, TEXT)

    assert (caught.value.what, caught.value.where) == ("no such file", str(tmp_path / name))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()

    with pytest.raises(InvalidData) as caught:
        read_inputs(tmp_path / "a.jsonl", TEXT)

    assert caught.value.what == "can't be read: Is a directory"


def test_an_image_that_is_not_there_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image\nnone.png\n")

    with pytest.raises(InvalidData) as caught:
        read_inputs(tmp_path / "a.csv", IMAGE)

    assert caught.value.what == "no such image: none.png"
    assert caught.value.where == f"{tmp_path / 'a.csv'}:2"
