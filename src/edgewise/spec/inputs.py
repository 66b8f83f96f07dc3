"""Inputs without labels, from a CSV or JSONL file, for those who measure or score."""

import json
from pathlib import Path
from typing import Any

from edgewise.errors import InvalidData
from edgewise.records import Input, Task
from edgewise.spec.splits import check_columns, image_at, read_rows


def read_inputs(path: Path, task: Task, column: str = "") -> list[Input]:
    """Read a column of a file as inputs of a task, in its order.

    Parameters
    ----------
    path
        `.jsonl` holds an object a line; anything else is read as CSV with a header.
    column
        By default `text` or `image`, as the task has it. Image paths are relative to the file.

    Raises
    ------
    InvalidData
        With the file and line, when the file, its column or a row can't be used.
    """
    key = "text" if task.takes_text else "image"
    column = column or key
    jsonl = path.suffix.lower() == ".jsonl"
    values = _of_jsonl(path, column) if jsonl else _of_csv(path, column)
    if task is Task.IMAGE_CLASSIFICATION:
        return [{key: str(image_at(path, line, value))} for line, value in values]
    return [{key: value} for _, value in values]


def _of_csv(path: Path, column: str) -> list[tuple[int, str]]:
    rows = read_rows(path)
    check_columns(path, list(rows[0][1]), [column])
    return [(line, row[column]) for line, row in rows]


def _of_jsonl(path: Path, column: str) -> list[tuple[int, str]]:
    found = []
    for line, row in read_jsonl_rows(path):
        if not isinstance(row.get(column), str):
            what = f"no text under `{column}`; there are: {', '.join(map(str, row))}"
            hint = "name the key that holds the input"
            raise InvalidData(what, where=f"{path}:{line}", hint=hint)
        found.append((line, row[column]))
    return found


def read_jsonl_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Read a file of JSON objects, one a line: each with the number of its line.

    Raises
    ------
    InvalidData
        When the file is absent, empty, not UTF-8, or a line is no object.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    # Not `splitlines`: JSON holds other ends of a line, such as U+2028, as they are.
    for line, text in enumerate(_read(path).split("\n"), start=1):
        if not text.strip():
            continue
        where = f"{path}:{line}"
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as broken:
            what, hint = f"not JSON: {getattr(broken, 'msg', broken)}", "write one object a line"
            raise InvalidData(what, where=where, hint=hint) from broken
        if not isinstance(row, dict):
            raise InvalidData("not a JSON object", where=where, hint="write one object a line")
        found.append((line, row))
    if not found:
        hint = "give at least one line"
        raise InvalidData("the file has no rows", where=str(path), hint=hint)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as absent:
        raise InvalidData("no such file", where=str(path), hint="check the data paths") from absent
    except OSError as failure:
        what = f"can't be read: {failure.strerror}"
        raise InvalidData(what, where=str(path), hint="check it") from failure
    except UnicodeDecodeError as wrong:
        what = f"not UTF-8 (byte {wrong.start})"
        raise InvalidData(what, where=str(path), hint="save it as UTF-8") from wrong
