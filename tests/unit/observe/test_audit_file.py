"""The audit's file: one owner, one format, and what it says where it can't be used."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgewise.errors import SchemaMismatch, StorageError
from edgewise.observe import AuditFile, read_samples


def test_one_process_audits_into_a_file(tmp_path: Path) -> None:
    first = AuditFile(tmp_path / "audit.sqlite")

    with pytest.raises(StorageError) as caught:
        AuditFile(tmp_path / "audit.sqlite")
    first.close()
    first.close()

    assert caught.value.what == "another process audits into it"
    assert caught.value.where == str(tmp_path / "audit.sqlite")
    assert caught.value.hint == "give each process a file of its own"
    AuditFile(tmp_path / "audit.sqlite").close()


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    path.write_text("not a database, but long enough to be looked at as one " * 40)

    with pytest.raises(StorageError) as caught:
        AuditFile(path)
    with pytest.raises(StorageError) as read:
        list(read_samples(path))

    assert caught.value.what.startswith("the audit's file can't be used: ")
    assert caught.value.where == read.value.where == str(path)
    assert caught.value.hint == "free some space or choose another place"


def test_a_place_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError) as caught:
        AuditFile(tmp_path / "file" / "audit.sqlite")

    assert caught.value.where == str(tmp_path / "file" / "audit.sqlite")


def test_another_version_of_the_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 99")

    with pytest.raises(SchemaMismatch) as caught:
        AuditFile(path)

    assert caught.value.what == "schema version 99, and this edgewise writes 1"
    assert caught.value.where == str(path)
    assert caught.value.hint == "use the edgewise version that wrote it, or begin another file"


def test_a_file_that_is_not_there_holds_no_samples(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        list(read_samples(tmp_path / "audit.sqlite"))

    assert caught.value.what == "there is no such file"
    assert caught.value.where == str(tmp_path / "audit.sqlite")
    assert caught.value.hint == "audit first: give the policy `audit` rules"


def test_a_file_that_vanished_can_not_be_read(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "audit.sqlite")
    file.save({})
    file.flush()
    assert file.load() == {}
    file.close()
    (tmp_path / "audit.sqlite").write_text("not a database, but long enough to be one " * 40)

    with pytest.raises(StorageError):
        file.load()
