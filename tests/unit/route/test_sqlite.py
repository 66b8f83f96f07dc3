"""The files of the queue and the budget: opened whole, or with a word on why not."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgewise.errors import SchemaMismatch, StorageError
from edgewise.route.sqlite import open_file, written_whole
from edgewise.testing.route import FakeClock

TABLES = "create table if not exists things (name text)"


def opened(path: Path, *, exclusive: bool = False) -> sqlite3.Connection:
    return open_file(path, TABLES, FakeClock(), name="box", exclusive=exclusive)


def test_a_file_is_made_with_its_folder_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "box"

    opened(path).close()

    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_file_of_ours_is_said(tmp_path: Path) -> None:
    path = tmp_path / "box"
    path.write_text("this is a letter, and no database at all\n" * 100)

    with pytest.raises(StorageError) as caught:
        opened(path)

    assert caught.value.what.startswith("not a whole box: ")
    assert caught.value.where == str(path)
    assert caught.value.hint == "keep a copy and begin another file"


def test_a_place_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("")

    with pytest.raises(StorageError) as caught:
        opened(tmp_path / "letter" / "box")

    assert caught.value.what.startswith("the box can't be written: ")
    assert caught.value.hint == "free some space or choose another place"


def test_a_file_of_another_version_is_said(tmp_path: Path) -> None:
    path = tmp_path / "box"
    with closing(opened(path)) as connection:
        connection.execute("pragma user_version = 99")

    with pytest.raises(SchemaMismatch) as caught:
        opened(path)

    assert caught.value.what == "schema version 99, and this edgewise writes 1"
    assert caught.value.where == str(path)
    assert "begin another file" in caught.value.hint


def test_a_second_opener_of_an_exclusive_file_is_told_and_does_not_loosen_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "box"

    with closing(opened(path, exclusive=True)):
        for _ in range(2):
            with pytest.raises(StorageError) as caught:
                opened(path, exclusive=True)

    assert caught.value.what == "another process uses the box"
    assert caught.value.where == str(path)
    assert caught.value.hint == "stop it, or give each process a file of its own"
    opened(path, exclusive=True).close()


def write_half(connection: sqlite3.Connection) -> None:
    with written_whole(connection):
        connection.execute("insert into things values ('half')")
        connection.execute("insert into nothing values ('half')")


def test_a_block_that_fails_leaves_nothing_written(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "box")) as connection:
        with pytest.raises(sqlite3.OperationalError):
            write_half(connection)
        with written_whole(connection):
            connection.execute("insert into things values ('whole')")

        assert connection.execute("select name from things").fetchall() == [("whole",)]
