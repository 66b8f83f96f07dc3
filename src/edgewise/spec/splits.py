"""The three split files: read, checked, and held apart."""

import csv
import difflib
import hashlib
import io
from collections.abc import Iterator, Sequence
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
    wanted += [extra for extra in (columns.group, columns.cluster, answers) if extra is not None]
    check_columns(path, list(rows[0][1]) if rows else [], wanted)
    examples = []
    for line, row in rows:
        value, label = row[columns.input] or "", (row[columns.label] or "").strip()
        content = None
        if not value.strip() or not label:
            what = f"column `{columns.label if value.strip() else columns.input}` is empty"
            raise InvalidData(what, where=f"{path}:{line}", hint="fill it in or remove the row")
        if spec.task is Task.IMAGE_CLASSIFICATION:
            image = image_at(path, line, value)
            value, content = str(image), hash_image(image)
        if columns.cluster and not row[columns.cluster].strip():
            what = f"column `{columns.cluster}` is empty"
            hint = "name the speaker, user or session of each row, or remove the row"
            raise InvalidData(what, where=f"{path}:{line}", hint=hint)
        group = row[columns.group] if columns.group else None
        cluster = row[columns.cluster] if columns.cluster else None
        answer = row[answers].strip() if answers else None
        examples.append(Example(value, label, group, answer, content, cluster))
    labels = {example.label for example in examples}
    if len(labels) < 2:
        what = f"all rows have the label `{next(iter(labels))}`"
        hint = "a split needs rows of at least two labels; was a sorted file cut?"
        raise InvalidData(what, where=str(path), hint=hint)
    return Split(
        name=name,
        examples=tuple(examples),
        sha256=hash_examples(examples),
        lines=tuple(line for line, _ in rows),
    )


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV file with a header: rows with the line each ends on.

    Raises
    ------
    InvalidData
        When the file is absent, empty, not UTF-8, or a row has another number of fields.
    """
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] | None = None
    for line, fields in _fields(path, _text(path)):
        if header is None:
            header = fields
            _check_header(path, header)
            continue
        if len(fields) != len(header):
            what = f"{len(fields)} fields, and the header has {len(header)}"
            hint = "quote fields that hold commas"
            raise InvalidData(what, where=f"{path}:{line}", hint=hint)
        rows.append((line, dict(zip(header, fields, strict=True))))
        if len(rows) > _MAX_ROWS:
            what = f"more than {_MAX_ROWS} rows"
            raise InvalidData(what, where=str(path), hint="take a sample")
    if not rows:
        hint = "give a header and at least one row"
        raise InvalidData("the file has no rows", where=str(path), hint=hint)
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
            key = hashlib.sha256(" ".join(example.identity.split()).encode()).digest()
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
    _check_clusters(splits)
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


def _check_clusters(splits: Sequence[Split]) -> None:
    seen: dict[str, str] = {}
    for split in splits:
        own = {example.cluster for example in split.examples if example.cluster is not None}
        shared = sorted(own & seen.keys())
        if shared:
            first = shared[0]
            what = f"{len(shared)} cluster(s) stand in two splits, first: `{first}` in "
            what += f"{seen[first]} and {split.name}"
            hint = "move each to one: rows of a cluster are alike"
            raise InvalidData(what, where="data", hint=hint)
        seen |= dict.fromkeys(own, split.name)


def _text(path: Path) -> str:
    text = _decode(path)
    nul = text.find("\0")
    if nul >= 0:
        where = f"{path}:{text.count(chr(10), 0, nul) + 1}"
        raise InvalidData("a NUL byte is no text", where=where, hint="remove it; is this a CSV?")
    return text


def _decode(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as absent:
        raise InvalidData("no such file", where=str(path), hint="check the data paths") from absent
    except OSError as failure:
        what = f"can't be read: {failure.strerror}"
        raise InvalidData(what, where=str(path), hint="check it") from failure
    except UnicodeDecodeError as wrong:
        line = wrong.object[: wrong.start].count(b"\n") + 1
        what = f"not UTF-8 (byte {wrong.start})"
        raise InvalidData(what, where=f"{path}:{line}", hint="save it as UTF-8") from wrong


def _fields(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of each row that is not blank, with the line it ends on."""
    before = csv.field_size_limit(_MAX_FIELD)  # of the whole process: others read CSV too
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as broken:
        what, where = f"not valid CSV: {broken}", f"{path}:{reader.line_num}"
        raise InvalidData(what, where=where, hint='quote fields by "') from broken
    finally:
        csv.field_size_limit(before)


def _check_header(path: Path, header: Sequence[str]) -> None:
    for at, name in enumerate(header):
        if name in header[:at]:
            what = f"column `{name}` is given twice"
            raise InvalidData(what, where=f"{path}:1", hint="give each column a name of its own")


def check_columns(
    path: Path, there: list[str], wanted: list[str], hint: str = "set data.columns"
) -> None:
    """See that a file has the columns wanted.

    Parameters
    ----------
    hint
        Where no column looks like the one wanted.

    Raises
    ------
    InvalidData
        With the column, and the one that looks most like it.
    """
    for name in wanted:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            what = f"no column `{name}`; there are: {', '.join(there)}"
            advice = f"did you mean `{near[0]}`?" if near else hint
            raise InvalidData(what, where=f"{path}:1", hint=advice)


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


def hash_examples(examples: Sequence[Example]) -> str:
    """Hash inputs, labels, groups, the cloud's answers and clusters in their order, in hex."""
    whole = hashlib.sha256()
    for one in examples:
        whole.update(
            "\0".join(
                (one.identity, one.label, one.group or "", one.cloud_answer or "", "\n")
            ).encode()
        )
        if one.cluster is not None:
            whole.update(f"{one.cluster}\0\n".encode())
    return whole.hexdigest()


def hash_image(image: Path) -> str:
    """Hash an image file's bytes, in hex.

    Raises
    ------
    InvalidData
        When it can't be read.
    """
    try:
        with image.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as failure:
        what = f"can't be read: {failure.strerror}"
        raise InvalidData(what, where=str(image), hint="check who may read it") from failure
