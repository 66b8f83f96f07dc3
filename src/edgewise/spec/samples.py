"""A data file on its own, with labels or without: what task it is for, and its rows as a split."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewise.errors import InvalidData
from edgewise.records import Example, Split, Task
from edgewise.spec.inputs import read_jsonl_rows
from edgewise.spec.splits import check_columns, hash_examples, hash_image, image_at, read_rows

_LABEL = "label"


def read_sample(path: Path, column: str = "", label_column: str = "") -> tuple[Task, Split]:
    """Read a CSV or JSONL file of texts or images, and say what it can be used for.

    Text with labels is for classification, without them for feature extraction.

    Parameters
    ----------
    column
        By default `text`, or `image` where there is no such.
    label_column
        By default `label` where there is one.

    Raises
    ------
    InvalidData
        With the file and line, when the file, its columns or a row can't be used.
    """
    rows = _rows(path)
    there = list(rows[0][1])
    column = column or next((name for name in ("text", "image") if name in there), "text")
    labelled = bool(label_column) or _LABEL in there
    label_column = label_column or _LABEL
    check_columns(path, there, [column, *([label_column] if labelled else [])])
    images = column == "image"
    if images and not labelled:
        what, hint = "images without labels", f"add a column `{_LABEL}`, or name it"
        raise InvalidData(what, where=f"{path}:1", hint=hint)
    examples = []
    for line, row in rows:
        value = _word(path, line, row, column)
        label = _word(path, line, row, label_column).strip() if labelled else ""
        content = None
        if images:
            image = image_at(path, line, value)
            value, content = str(image), hash_image(image)
        examples.append(Example(value, label, content=content))
    task = Task.TEXT_CLASSIFICATION if labelled else Task.FEATURE_EXTRACTION
    split = Split(name="data", examples=tuple(examples), sha256=hash_examples(examples))
    return Task.IMAGE_CLASSIFICATION if images else task, split


def read_columns(path: Path, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read columns of a CSV or JSONL file as words, row by row.

    Raises
    ------
    InvalidData
        With the file and line, when a column is not there or a cell is empty.
    """
    rows = _rows(path)
    check_columns(path, list(rows[0][1]), list(names), "name one of these")
    return {name: tuple(_word(path, line, row, name) for line, row in rows) for name in names}


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() == ".jsonl":
        return read_jsonl_rows(path)
    return [(line, dict(row)) for line, row in read_rows(path)]


def _word(path: Path, line: int, row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        what = f"column `{column}` is empty" if value in (None, "") else f"no text: {value!r}"
        hint = "fill it in or remove the row"
        raise InvalidData(what, where=f"{path}:{line}", hint=hint)
    return value
