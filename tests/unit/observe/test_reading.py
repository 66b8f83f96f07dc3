"""A decision log read without a writer."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgewise.errors import InvalidRecord
from edgewise.observe.reading import read_decisions


@pytest.mark.parametrize("row", ["{", "[" * 100_000, b"\xff\xfe{", None])
def test_a_row_that_is_no_json_is_named(tmp_path: Path, row: object) -> None:
    path = tmp_path / "decisions.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table decisions (decision)")
        connection.execute("insert into decisions values (?)", (row,))
        connection.commit()

    with pytest.raises(InvalidRecord) as caught:
        list(read_decisions(path))

    assert caught.value.what.startswith("a row is no decision: ")
    assert caught.value.where == str(path)
    assert caught.value.hint
