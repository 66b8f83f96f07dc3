"""Traces are read in blocks; every mistake is named with its line."""

from pathlib import Path

import numpy as np
import pytest

from edgewise.errors import InvalidData
from edgewise.simulate.trace import TraceReader

HEADER = "t_s,input_tokens,output_tokens\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "trace.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(folder: Path, text: str | bytes) -> InvalidData:
    with pytest.raises(InvalidData) as caught:
        list(TraceReader(write(folder, text)))
    assert caught.value.hint
    return caught.value


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path, "output_tokens,t_s,input_tokens\r\n3,0.5,10\r\n4,0.5,20\r\n")

    (block,) = TraceReader(path)

    assert block.t_s.tolist() == [0.5, 0.5]
    assert block.input_tokens.tolist() == [10.0, 20.0]
    assert block.output_tokens.tolist() == [3.0, 4.0]
    assert list(block.lines) == [2, 3]


def test_blocks_of_any_size_give_the_same_rows(tmp_path: Path) -> None:
    rows = [f"{i / 8},{i % 7},{i % 5}\n" for i in range(300)]
    path = write(tmp_path, "\ufeff" + HEADER + "".join(rows))

    whole = [block.t_s for block in TraceReader(path)]
    small = list(TraceReader(path, block_bytes=64))

    assert len(small) > 10
    assert np.concatenate([b.t_s for b in small]).tolist() == np.concatenate(whole).tolist()
    assert [b.first for b in small][:2] == [0, len(small[0].t_s)]
    assert [line for b in small for line in b.lines] == list(range(2, 302))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("number", ["7", "007", "+7", "7.", "7.0", ".7e1", "70E-1", " 7 ", "\t7"])
def test_a_number_may_be_written_in_any_way(tmp_path: Path, number: str, ends: str) -> None:
    path = tmp_path / "trace.csv"
    rows = ["t_s,input_tokens,output_tokens", f"1,{number},3", f"2,5,{number}"]
    path.write_text(ends.join(rows), encoding="utf-8", newline="")

    (block,) = TraceReader(path)

    assert block.t_s.tolist() == [1.0, 2.0]
    assert block.input_tokens.tolist() == [7.0, 5.0]
    assert block.output_tokens.tolist() == [3.0, 7.0]


def test_optional_columns_are_read_by_name(tmp_path: Path) -> None:
    header = "t_s,input_tokens,output_tokens,text_id,privacy,device,late\n"
    path = write(tmp_path, header + "0,1,2,a,TRUE,d1,0\n\n1,1,2,b,0,d2,1\n")

    (block,) = TraceReader(path)

    assert block.text_ids == ("a", "b")
    assert block.private is not None
    assert block.private.tolist() == [True, False]
    assert block.devices == ("d1", "d2")
    assert block.late is not None
    assert block.late.tolist() == [False, True]
    assert list(block.lines) == [2, 4]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HEADER + "1,1,1\n0.5,1,1\n", 3, "out of order: 0.5 s comes after 1 s"),
        (HEADER + "1,1,1\n2,,1\n", 3, "`input_tokens` is missing"),
        (HEADER + "1,1,1\n2,nan,1\n", 3, "`input_tokens` is not finite: nan"),
        (HEADER + "1,1,1\n2,1,inf\n", 3, "`output_tokens` is not finite: inf"),
        (HEADER + "1,1,1\n2,1,-3\n", 3, "`output_tokens` is negative: -3"),
        (HEADER + "-1,1,1\n", 2, "`t_s` is negative: -1"),
        (HEADER + "1,1,many\n", 2, "`output_tokens` is no number: `many`"),
        (HEADER + "1,1,1\n2,1\n", 3, "2 values for 3 columns"),
        (HEADER + "1,1,1\n2,1,1,1\n", 3, "4 values for 3 columns"),
        ("t_s,input_tokens,tokens\n1,1,1\n", 1, "no column `output_tokens`"),
        ("t_s,input_tokens,output_tokens,x\n1,1,1,1\n", 1, "unknown column `x`"),
        ("t_s,t_s,input_tokens,output_tokens\n1,1,1,1\n", 1, "a column stands twice"),
        (b"t_s,input_tokens,output_tokens\xff\n", 1, "not UTF-8 text"),
        (b"t_s,input_tokens,output_tokens\n1,1,1\n2,1,\xff\n", 3, "not UTF-8 text"),
        ("t_s,input_tokens,output_tokens,device\n1,1,1,\n", 2, "`device` is missing"),
        ("t_s,input_tokens,output_tokens,privacy\n1,1,1,2\n", 2, "`privacy` is no flag: `2`"),
        ("t_s,input_tokens,output_tokens,late\n1,1,1,no way\n", 2, "`late` is no flag: `no way`"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, text: str | bytes, line: int, what: str
) -> None:
    wrong = refused(tmp_path, text)

    assert wrong.what == what
    assert wrong.where == f"{tmp_path / 'trace.csv'}:{line}"


LONG = "no CSV: field larger than field limit (131072)"
NEW_LINE = "no CSV: new-line character seen in unquoted field"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("x" * 200_000, 1, LONG),
        ("t_s,input_tokens,output_tokens\r1,1,1\r", 1, NEW_LINE),
        ("t_s,input_tokens,output_tokens,device\n1,1,1,a\n2,1,1," + "x" * 200_000, 3, LONG),
    ],
)
def test_a_file_of_other_lines_is_refused(tmp_path: Path, text: str, line: int, what: str) -> None:
    wrong = refused(tmp_path, text)

    assert wrong.what.startswith(what)
    assert wrong.where == f"{tmp_path / 'trace.csv'}:{line}"
    assert wrong.hint.startswith("give a row a line, ended by LF or CR LF")


def test_a_name_may_hold_what_unicode_calls_a_line(tmp_path: Path) -> None:
    text = "t_s,input_tokens,output_tokens,device\r\n1,1,1,a\u2028b\r\n\r\n2,1,1,c\x85d\r\n"

    (block,) = TraceReader(write(tmp_path, text))

    assert block.devices == ("a\u2028b", "c\x85d")
    assert list(block.lines) == [2, 4]


def test_a_row_out_of_order_is_seen_across_blocks(tmp_path: Path) -> None:
    rows = "".join(f"{i},1,1\n" for i in range(100))
    path = write(tmp_path, HEADER + rows + "98,1,1\n")

    with pytest.raises(InvalidData) as caught:
        list(TraceReader(path, block_bytes=50))

    assert caught.value.where.endswith(":102")


@pytest.mark.parametrize("text", [HEADER, HEADER + "\n\n"])
def test_a_trace_without_requests_is_refused(tmp_path: Path, text: str) -> None:
    wrong = refused(tmp_path, text)

    assert wrong.what == "the trace holds no requests"
    assert wrong.where == str(tmp_path / "trace.csv")


def test_an_absent_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        list(TraceReader(tmp_path / "none.csv"))

    assert caught.value.what == "can't be read: No such file or directory"
    assert caught.value.where.endswith("none.csv")
    assert "t_s" in caught.value.hint
