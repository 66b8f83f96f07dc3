"""What the near tier would be sure of, and who would be right: what requests draw from."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData
from edgewise.records import Policy, TierKind
from edgewise.simulate.trace import TraceBlock

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_ROWS = 10_000
_COLUMNS = ("edge_confidence", "edge_correct", "cloud_correct")
_HINT = "give a CSV file with the columns edge_confidence, edge_correct, cloud_correct"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTable:
    """Answers of the nearest and the farthest tier to the same inputs, a row each."""

    confidence: Floats
    """Calibrated, of the nearest tier."""
    near_correct: Floats | None = None
    """0 to 1; `None` where nobody knows."""
    far_correct: Floats | None = None
    gain: Floats | None = None
    """Quality that the farthest tier is predicted to add, -1 to 1; `None` pre-routes nothing."""
    rows: dict[str, int] | None = None
    """Of a text's id."""
    assumed: str = ""
    """What stands in for a table, where none was given."""

    def __len__(self) -> int:
        return len(self.confidence)

    def draw(self, block: TraceBlock, uniform: Floats, where: str) -> Integers:
        """Give each request its row: that of its text, else one at random.

        Raises
        ------
        InvalidData
            When the table does not know a text.
        """
        if block.text_ids is None or self.rows is None:
            return (uniform * len(self)).astype(np.int64)
        found = [self.rows.get(one, -1) for one in block.text_ids]
        if -1 in found:
            at = found.index(-1)
            what = f"the table of answers has no text `{block.text_ids[at]}`"
            hint = "give every text_id of the trace a row, or leave the column out"
            raise InvalidData(what, where=f"{where}:{block.lines[at]}", hint=hint)
        return np.array(found, dtype=np.int64)


def right_of(table: AnswerTable, policy: Policy) -> dict[str, Floats]:
    """Give who is right by row, for each tier of which the table tells: the ends of the way.

    Equal tiers of the farthest group are one to it; a cloud that stands alone is the farthest.
    """
    near, last = policy.tiers[0], policy.tiers[-1]
    far = [one for one in policy.tiers if one is last or (one.group and one.group == last.group)]
    found: dict[str, Floats | None] = dict.fromkeys((one.name for one in far), table.far_correct)
    if near not in far or near.kind is not TierKind.CLOUD:
        found[near.name] = table.near_correct
    return {name: correct for name, correct in found.items() if correct is not None}


def table_of(policy: Policy) -> AnswerTable:
    """Give what the policy alone tells: the certificate's deferral rate, or nothing at all."""
    places = (np.arange(_ROWS) + 0.5) / _ROWS
    threshold, one = policy.tiers[0].threshold, policy.certificate
    if one is not None and threshold is not None and one.threshold == threshold:
        below = math.nextafter(threshold, -math.inf)
        said = (
            f"confidence: a share of {one.deferral_rate:.4g} is below the threshold, as on the "
            f"certificate's {one.n} rows"
        )
        return AnswerTable(
            confidence=np.where(places < one.deferral_rate, below, threshold), assumed=said
        )
    said = "confidence: uniform from 0 to 1, for want of a table of answers"
    return AnswerTable(confidence=places, assumed=said)


def read_answers(path: Path, gain_of: Callable[[str], float] | None = None) -> AnswerTable:
    """Read a table of answers: `edge_confidence,edge_correct,cloud_correct` and maybe `text_id`.

    A column `gain` says what the farthest tier is predicted to add; without it a column `text` is
    asked of `gain_of`.

    Raises
    ------
    InvalidData
        With the line, where a number is missing or out of range, or an id stands twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = names = [name.strip() for name in reader.fieldnames or ()]
            absent = [name for name in _COLUMNS if name not in names]
            if absent:
                raise InvalidData(f"no column `{absent[0]}`", where=f"{path}:1", hint=_HINT)
            reads = gain_of if "text" in names and "gain" not in names else None
            values: list[list[float]] = []
            gains: list[float] = []
            rows: dict[str, int] = {}
            for row in reader:
                where = f"{path}:{reader.line_num}"
                values.append([_number(row[name], name, where) for name in _COLUMNS])
                if reads is not None:
                    gains.append(reads(row["text"] or ""))
                elif "gain" in names:
                    gains.append(_number(row["gain"], "gain", where, least=-1.0))
                name = row.get("text_id")
                if name in rows:
                    hint = "give each text one row"
                    raise InvalidData(f"text_id `{name}` stands twice", where=where, hint=hint)
                if name:
                    rows[name] = len(values) - 1
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        raise InvalidData(f"can't be read: {failure}", where=str(path), hint=_HINT) from failure
    if not values:
        raise InvalidData("the table holds no answers", where=str(path), hint=_HINT)
    table = np.array(values)
    return AnswerTable(
        confidence=table[:, 0],
        near_correct=table[:, 1],
        far_correct=table[:, 2],
        gain=np.array(gains) if gains else None,
        rows=rows or None,
    )


def _number(text: str | None, name: str, where: str, *, least: float = 0.0) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not least <= value <= 1.0:
        what = f"`{name}` is no number from {least:g} to 1: `{text or ''}`"
        raise InvalidData(what, where=where, hint="mend it or leave the row out")
    return value
