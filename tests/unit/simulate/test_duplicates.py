"""Ids that stand twice are found, in one pass or in many."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidData
from edgewise.simulate.duplicates import each_once
from edgewise.simulate.trace import TraceReader

HEADER = "t_s,input_tokens,output_tokens,text_id\n"


def trace(folder: Path, ids: list[str]) -> TraceReader:
    path = folder / "trace.csv"
    path.write_text(HEADER + "".join(f"{k},1,1,{one}\n" for k, one in enumerate(ids)))
    return TraceReader(path, block_bytes=40)


@pytest.mark.parametrize("at_once", [3, 1000])
def test_an_id_that_stands_twice_is_named_with_both_lines(tmp_path: Path, at_once: int) -> None:
    ids = [f"r{k}" for k in range(20)]
    found = trace(tmp_path, [*ids, "r7"])

    with pytest.raises(InvalidData) as caught:
        list(each_once(found, at_once))

    assert caught.value.what == "`text_id` r7 stands twice, first in line 9"
    assert caught.value.where.endswith("trace.csv:22")
    assert "--answers" in caught.value.hint


@pytest.mark.parametrize("at_once", [3, 1000])
def test_ids_that_differ_pass(tmp_path: Path, at_once: int) -> None:
    ids = [f"r{k}" for k in range(20)]

    blocks = list(each_once(trace(tmp_path, ids), at_once))

    assert sum(len(block.t_s) for block in blocks) == 20


def test_a_trace_without_ids_passes(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("t_s,input_tokens,output_tokens\n0,1,1\n")

    assert len(list(each_once(TraceReader(path)))) == 1
