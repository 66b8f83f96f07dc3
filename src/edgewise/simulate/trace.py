"""Traces of requests: a CSV file read block by block, every row checked, memory flat.

`t_s,input_tokens,output_tokens` in any order, and, where there are, `text_id`, `privacy` (1 keeps
the request on the device), `device` and `late` (1 where the answer may come after the call). Rows
are in order of time.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData

Floats = NDArray[np.float64]
BLOCK_BYTES = 1 << 20
"""Of a file, read at once."""
NUMBERS = ("t_s", "input_tokens", "output_tokens")
_ROW, _IN_NUMBERS = b",,\n", b"0123456789.eE+- \t\r"
"""What is left of a row of three numbers, and what JSON's may be written with."""
OTHERS = ("text_id", "privacy", "device", "late")
_HINT = "give a CSV file with the columns t_s, input_tokens, output_tokens"
_LINES = "give a row a line, ended by LF or CR LF, and no value longer than 131,072 characters"
_FLAGS = {
    "privacy": "1 keeps the request on the device, 0 does not",
    "late": "1 where the answer may come later, 0 where the caller waits for it",
}
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceBlock:
    """Requests that follow each other. Made by `read_trace`."""

    first: int
    """How many came before."""
    t_s: Floats
    input_tokens: Floats
    output_tokens: Floats
    text_ids: tuple[str, ...] | None = None
    private: NDArray[np.bool_] | None = None
    devices: tuple[str, ...] | None = None
    late: NDArray[np.bool_] | None = None
    """Whether an answer may come after the call, from the offline queue."""
    lines: Sequence[int] = ()
    """Where each stands in its file."""


class TraceReader:
    """A trace as an iterable of blocks; may be read more than once.

    Raises
    ------
    InvalidData
        While it is read, with the line: a row out of order, a missing, negative or infinite
        number, an unknown column, or no request at all.
    """

    def __init__(self, path: Path, *, block_bytes: int = BLOCK_BYTES) -> None:
        self.path = path
        self._block_bytes = block_bytes

    def __iter__(self) -> Iterator[TraceBlock]:
        """Read from the start."""
        try:
            with self.path.open("rb") as file:
                yield from self._read(file)
        except OSError as failure:
            what = f"can't be read: {failure.strerror or failure}"
            raise InvalidData(what, where=str(self.path), hint=_HINT) from failure

    def _read(self, file: io.BufferedReader) -> Iterator[TraceBlock]:
        columns = self._columns(file.readline())
        plain = len(columns) == len(NUMBERS)
        first, line, last_s = 0, 2, 0.0
        while chunk := file.read(self._block_bytes):
            chunk += file.readline()
            lines = chunk.count(b"\n") + (not chunk.endswith(b"\n"))
            block = _plain(chunk, lines, columns, first, line) if plain else None
            if block is None or _wrong(block, last_s) is not None:
                block = self._slow(chunk, columns, first, line)
            wrong = _wrong(block, last_s)
            if wrong is not None:
                index, what, hint = wrong
                raise InvalidData(what, where=f"{self.path}:{block.lines[index]}", hint=hint)
            line += lines
            if len(block.t_s):
                first += len(block.t_s)
                last_s = float(block.t_s[-1])
                yield block
        if not first:
            hint = "a simulation needs at least one row below the header"
            raise InvalidData("the trace holds no requests", where=str(self.path), hint=hint)

    def _columns(self, header: bytes) -> tuple[str, ...]:
        where = f"{self.path}:1"
        try:
            text = header.decode("utf-8-sig").strip()
        except UnicodeDecodeError as broken:
            raise InvalidData("not UTF-8 text", where=where, hint=_HINT) from broken
        try:
            columns = tuple(name.strip() for name in next(csv.reader([text]), []))
        except csv.Error as broken:
            raise InvalidData(f"no CSV: {broken}", where=where, hint=_LINES) from broken
        unknown = [name for name in columns if name not in NUMBERS + OTHERS]
        missing = [name for name in NUMBERS if name not in columns]
        if missing:
            raise InvalidData(f"no column `{missing[0]}`", where=where, hint=_HINT)
        if unknown:
            hint = f"known: {', '.join(NUMBERS + OTHERS)}; remove the others"
            raise InvalidData(f"unknown column `{unknown[0]}`", where=where, hint=hint)
        if len(set(columns)) != len(columns):
            raise InvalidData("a column stands twice", where=where, hint="remove one of them")
        return columns

    def _slow(
        self, chunk: bytes, columns: tuple[str, ...], first: int, first_line: int
    ) -> TraceBlock:
        """Read row by row: what is wrong is known with its line."""
        try:
            text = chunk.decode("utf-8")
        except UnicodeDecodeError as broken:
            line = first_line + chunk[: broken.start].count(b"\n")
            raise InvalidData("not UTF-8 text", where=f"{self.path}:{line}", hint=_HINT) from broken
        rows: list[tuple[str, ...]] = []
        lines: list[int] = []
        for line, row in self._rows(text, first_line):
            if len(row) != len(columns):
                what = f"{len(row)} values for {len(columns)} columns"
                raise InvalidData(what, where=f"{self.path}:{line}", hint=_HINT)
            rows.append(row)
            lines.append(line)
        by_name = dict(zip(columns, zip(*rows, strict=True), strict=False))
        numbers = [self._numbers(by_name.get(name, ()), name, lines) for name in NUMBERS]
        return TraceBlock(
            first=first,
            t_s=numbers[0],
            input_tokens=numbers[1],
            output_tokens=numbers[2],
            text_ids=self._names(by_name, columns, "text_id", lines),
            private=self._flags(by_name, columns, "privacy", lines),
            devices=self._names(by_name, columns, "device", lines),
            late=self._flags(by_name, columns, "late", lines),
            lines=lines,
        )

    def _rows(self, text: str, first_line: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Give each row that is not empty with the line that it ends in."""
        reader = csv.reader(io.StringIO(text, newline=None))  # a line ends where a file's does
        try:
            for row in reader:
                if row:
                    yield first_line + reader.line_num - 1, tuple(row)
        except csv.Error as broken:
            where = f"{self.path}:{first_line + reader.line_num - 1}"
            raise InvalidData(f"no CSV: {broken}", where=where, hint=_LINES) from broken

    def _numbers(self, values: Sequence[str], name: str, lines: Sequence[int]) -> Floats:
        try:
            return np.array(values, dtype=np.str_).astype(np.float64)
        except ValueError:
            at = _first(values, _no_number)
            shown = values[at].strip()
            what = f"`{name}` is no number: `{shown[:40]}`" if shown else f"`{name}` is missing"
            where = f"{self.path}:{lines[at]}"
            hint = "give every row a number, or leave the row out"
            raise InvalidData(what, where=where, hint=hint) from None

    def _names(
        self,
        by_name: dict[str, tuple[str, ...]],
        columns: tuple[str, ...],
        name: str,
        lines: Sequence[int],
    ) -> tuple[str, ...] | None:
        if name not in columns:
            return None
        values = by_name.get(name, ())
        if not all(values):
            where = f"{self.path}:{lines[values.index('')]}"
            hint = "name it in every row, or leave the column out"
            raise InvalidData(f"`{name}` is missing", where=where, hint=hint)
        return values

    def _flags(
        self,
        by_name: dict[str, tuple[str, ...]],
        columns: tuple[str, ...],
        name: str,
        lines: Sequence[int],
    ) -> NDArray[np.bool_] | None:
        if name not in columns:
            return None
        said = [value.strip().casefold() for value in by_name.get(name, ())]
        for at, value in enumerate(said):
            if value not in _TRUE + _FALSE:
                where = f"{self.path}:{lines[at]}"
                what = f"`{name}` is no flag: `{value[:40]}`"
                raise InvalidData(what, where=where, hint=_FLAGS[name])
        return np.array([value in _TRUE for value in said], dtype=np.bool_)


def _plain(
    chunk: bytes, lines: int, columns: tuple[str, ...], first: int, line: int
) -> TraceBlock | None:
    """Read three columns of numbers at once; `None` where that needs a closer look."""
    whole = chunk if chunk.endswith(b"\n") else chunk + b"\n"
    if whole.translate(None, _IN_NUMBERS) != _ROW * lines:
        return None
    try:  # two thirds of the time of `numpy.loadtxt`
        found = json.loads(b"[%b]" % whole[:-1].replace(b"\n", b","))
        values = np.fromiter(found, np.float64, lines * len(NUMBERS)).reshape(lines, -1)
    except (ValueError, OverflowError):
        return None
    by_name = dict(zip(columns, values.T, strict=True))
    return TraceBlock(
        first=first,
        t_s=np.ascontiguousarray(by_name["t_s"]),
        input_tokens=np.ascontiguousarray(by_name["input_tokens"]),
        output_tokens=np.ascontiguousarray(by_name["output_tokens"]),
        lines=range(line, line + lines),
    )


def _wrong(block: TraceBlock, last_s: float) -> tuple[int, str, str] | None:
    """Give the first row that can't be, what is wrong and what to do."""
    found: list[tuple[int, str, str]] = []
    for name in NUMBERS:
        values: Floats = getattr(block, name)
        good = np.isfinite(values) & (values >= 0.0)
        if not good.all():
            at = int(np.argmin(good))
            value = float(values[at])
            what = f"`{name}` is not finite: {value}"
            if np.isfinite(value):
                what = f"`{name}` is negative: {value:g}"
            found.append((at, what, "give a number from 0 on, or leave the row out"))
    steps = np.diff(block.t_s, prepend=last_s)
    if len(steps) and not (steps >= 0.0).all() and not found:
        at = int(np.argmin(steps >= 0.0))
        before = last_s if at == 0 else float(block.t_s[at - 1])
        what = f"out of order: {block.t_s[at]:.9g} s comes after {before:.9g} s"
        found.append((at, what, "sort the rows by t_s"))
    return min(found) if found else None


def _first(values: Sequence[str], wrong: Callable[[str], bool]) -> int:
    return next(at for at, value in enumerate(values) if wrong(value))


def _no_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return True
    return False
