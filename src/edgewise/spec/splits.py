"""The three split files: read, checked, and held apart."""

import csv
import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from edgewise.errors import InvalidData
from edgewise.records import Example, ProjectSpec, Split, Task

_MAX_ROWS = 5_000_000
_MAX_FIELD = 1_000_000


def read_split(spec: ProjectSpec, name: str) -> Split:
    """Read one split file: `train`, `calibration` or `test`.

    Raises
    ------
    InvalidData
        With the file and line, when the file, its columns or a row can't be used.
    """
    path: Path = getattr(spec.data, name)
    rows = read_rows(path)
    columns = spec.data.columns
    answers = spec.cloud.answers_column if spec.cloud is not None and name != "train" else None
    wanted = [columns.input, columns.label]
    wanted += [extra for extra in (columns.group, answers) if extra is not None]
    check_columns(path, list(rows[0][1]) if rows else [], wanted)
    examples = []
    for line, row in rows:
        value, label = row[columns.input] or "", (row[columns.label] or "").strip()
        if not value.strip() or not label:
            what = f"column `{columns.label if value.strip() else columns.input}` is empty"
            raise InvalidData(what, where=f"{path}:{line}", hint="fill it in or remove the row")
        if spec.task is Task.IMAGE_CLASSIFICATION:
            value = str(image_at(path, line, value))
        group = row[columns.group] if columns.group else None
        examples.append(Example(value, label, group, row[answers] if answers else None))
    labels = {example.label for example in examples}
    if name == "train" and len(labels) < 2:
        what = f"all rows have the label `{next(iter(labels))}`"
        raise InvalidData(what, where=str(path), hint="train needs rows of at least two labels")
    whole = hashlib.sha256()
    for one in examples:
        whole.update(
            "\0".join(
                (one.input, one.label, one.group or "", one.cloud_answer or "", "\n")
            ).encode()
        )
    return Split(name=name, examples=tuple(examples), sha256=whole.hexdigest())


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV file with a header: rows with the line each ends on.

    Raises
    ------
    InvalidData
        When the file is absent, empty, not UTF-8, or a row has another number of fields.
    """
    csv.field_size_limit(_MAX_FIELD)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as absent:
        raise InvalidData("no such file", where=str(path), hint="check the data paths") from absent
    except OSError as failure:
        raise InvalidData(
            f"can't be read: {failure.strerror}", where=str(path), hint="check it"
        ) from failure
    except UnicodeDecodeError as wrong:
        line = wrong.object[: wrong.start].count(b"\n") + 1
        hint = "save it as UTF-8"
        raise InvalidData(
            f"not UTF-8 (byte {wrong.start})", where=f"{path}:{line}", hint=hint
        ) from wrong
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] | None = None
    try:
        for fields in reader:
            if not fields:
                continue
            if header is None:
                header = fields
                continue
            if len(fields) != len(header):
                what = f"{len(fields)} fields, and the header has {len(header)}"
                raise InvalidData(
                    what, where=f"{path}:{reader.line_num}", hint="quote fields that hold commas"
                )
            rows.append((reader.line_num, dict(zip(header, fields, strict=True))))
            if len(rows) > _MAX_ROWS:
                raise InvalidData(
                    f"more than {_MAX_ROWS} rows", where=str(path), hint="take a sample"
                )
    except csv.Error as broken:
        what = f"not valid CSV: {broken}"
        raise InvalidData(
            what, where=f"{path}:{reader.line_num}", hint='quote fields by "'
        ) from broken
    if not rows:
        raise InvalidData(
            "the file has no rows", where=str(path), hint="give a header and at least one row"
        )
    return rows


def check_overlap(splits: Sequence[Split]) -> None:
    """See that no input stands in two splits, and that each label is one that train has.

    Inputs are compared by a hash, white space folded.

    Raises
    ------
    InvalidData
        With the number of shared inputs and the first of them by row.
    """
    first: dict[bytes, tuple[str, int]] = {}
    shared: list[tuple[str, int, str, int]] = []
    for split in splits:
        own: dict[bytes, tuple[str, int]] = {}
        for row, example in enumerate(split.examples, start=1):
            key = hashlib.sha256(" ".join(example.input.split()).encode()).digest()
            if key in first:
                shared.append((*first[key], split.name, row))
            own.setdefault(key, (split.name, row))
        first.update(own)
    if shared:
        a, i, b, j = shared[0]
        what = f"{len(shared)} input(s) stand in two splits, first: {a} row {i} and {b} row {j}"
        raise InvalidData(
            what, where="data", hint="remove them from one: a promise needs unseen rows"
        )
    known = sorted({example.label for example in splits[0].examples})
    for split in splits[1:]:
        for row, example in enumerate(split.examples, start=1):
            if example.label not in known:
                near = difflib.get_close_matches(example.label, known, n=1)
                hint = (
                    f"did you mean `{near[0]}`?" if near else f"train has: {', '.join(known[:10])}"
                )
                where = f"{split.name} split, row {row}"
                raise InvalidData(
                    f"label `{example.label}` is not in train", where=where, hint=hint
                )


def check_columns(path: Path, there: list[str], wanted: list[str]) -> None:
    """See that a file has the columns wanted.

    Raises
    ------
    InvalidData
        With the column, and the one that looks most like it.
    """
    for name in wanted:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "set data.columns"
            what = f"no column `{name}`; there are: {', '.join(there)}"
            raise InvalidData(what, where=f"{path}:1", hint=hint)


def image_at(path: Path, line: int, value: str) -> Path:
    """Find an image that a line of a file names.

    Raises
    ------
    InvalidData
        When there is no such file.
    """
    image = (path.parent / value).resolve()
    if not image.is_file():
        raise InvalidData(
            f"no such image: {value}", where=f"{path}:{line}", hint="paths are relative to the file"
        )
    return image
