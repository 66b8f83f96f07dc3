"""Ids that stand twice in a trace, found with flat memory.

Ids are kept as 64-bit hashes in a nameless file, 8 bytes each; where two are equal, the trace is
read once more to name the rows.
"""

import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData
from edgewise.simulate.trace import TraceBlock, TraceReader

Keys = NDArray[np.uint64]
_AT_ONCE = 4_000_000
_NAMED = 10_000


def each_once(trace: TraceReader, at_once: int = _AT_ONCE) -> Iterator[TraceBlock]:
    """Give the blocks of a trace, and see after the last that no `text_id` stood twice.

    Raises
    ------
    InvalidData
        With the line of the first that did.
    """
    with tempfile.TemporaryFile() as file:
        n = 0
        for block in trace:
            yield block
            if block.text_ids is not None:
                n += len(block.text_ids)
                file.write(_keys(block.text_ids).tobytes())
        twice = _twice(file, n, at_once)
    if twice:
        _name(trace, twice)


def _keys(ids: tuple[str, ...]) -> Keys:
    return np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids)).view(np.uint64)


def _twice(file: BinaryIO, n: int, at_once: int) -> set[int]:
    """Give hashes that stand twice, looking at a part of them in each pass."""
    found: set[int] = set()
    passes = np.uint64(-(-n // at_once) or 1)
    for turn in range(int(passes)):
        file.seek(0)
        parts = []
        while text := file.read(8 * at_once):
            keys = np.frombuffer(text, dtype=np.uint64)
            parts.append(keys[keys % passes == turn])
        if not parts:
            break
        keys = np.sort(np.concatenate(parts))
        found |= set(keys[1:][keys[1:] == keys[:-1]][:_NAMED].tolist())
    return found


def _name(trace: TraceReader, twice: set[int]) -> None:
    seen: dict[str, int] = {}
    for block in trace:
        ids = block.text_ids or ()
        for at, key in enumerate(_keys(ids).tolist()):
            if key not in twice:
                continue
            if ids[at] in seen:
                what = f"`text_id` {ids[at]} stands twice, first in line {seen[ids[at]]}"
                where = f"{trace.path}:{block.lines[at]}"
                hint = "name each request once, or give `--answers` with a row for each text"
                raise InvalidData(what, where=where, hint=hint)
            seen[ids[at]] = block.lines[at]
