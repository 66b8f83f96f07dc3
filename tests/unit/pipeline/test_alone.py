"""One run at a time on a directory."""

from pathlib import Path

import pytest

from edgewise.errors import StorageError
from edgewise.pipeline.alone import alone_on, check_place


def test_a_second_run_on_the_same_directory_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    out = tmp_path / "best"

    with alone_on(out), pytest.raises(StorageError) as caught, alone_on(out):
        pass
    with alone_on(out):
        pass

    assert caught.value.what == "another run is at work on it"
    assert caught.value.where == str(out)
    assert "another --out" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_it_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone_on(tmp_path / "best"):
        raise KeyError

    with alone_on(tmp_path / "best"):
        assert [path.name for path in tmp_path.iterdir()] == [".best.lock"]


def test_what_a_killed_run_left_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / ".best.lock").touch()

    with alone_on(tmp_path / "best"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_two_directories_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with alone_on(tmp_path / "one"), alone_on(tmp_path / "two"):
        assert len(list(tmp_path.iterdir())) == 2


def test_where_no_file_can_be_made_nobody_is_kept_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with alone_on(tmp_path / "file/best"), alone_on(tmp_path / "file/best"):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["file", "file/best", "file/deep/best"])
def test_a_place_in_which_nothing_can_be_made_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError) as caught:
        check_place(tmp_path / place, "run.json")

    assert caught.value.where == str(tmp_path / place)
    assert caught.value.hint == "choose another with --out"


def test_a_place_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()

    for place in ("run", "new/deep/run"):
        check_place(tmp_path / place, "run.json")

    assert [path.name for path in tmp_path.rglob("*")] == ["run"]


def test_parents_made_for_it_go_again_where_they_are_empty(tmp_path: Path) -> None:
    with alone_on(tmp_path / "new/run"):
        assert (tmp_path / "new").exists()
    gone = list(tmp_path.iterdir())
    with alone_on(tmp_path / "new/run"):
        (tmp_path / "new/run").mkdir()

    assert gone == []
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run"]


def test_a_place_that_no_directory_can_be_made_in_keeps_nobody_out() -> None:
    with alone_on(Path("/proc/nothing/run")), alone_on(Path("/proc/nothing/run")):
        pass
