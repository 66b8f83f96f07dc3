"""Names to write under: nobody else's, and gone when their process is."""

import os
import subprocess
import sys
from pathlib import Path

from edgewise.records import aside_of, clear_dead_asides, own_aside_of


def dead_process() -> int:
    """Give the id of a process that has ended and was buried."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_no_two_asides_of_a_path_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"

    found = {aside_of(path) for _ in range(100)}

    assert len(found) == 100
    assert all(one.parent == tmp_path for one in found)
    assert all(one.name.startswith(".plan.json.") and one.suffix == ".part" for one in found)


def test_a_process_has_one_aside_that_is_the_same_each_time(tmp_path: Path) -> None:
    mine = own_aside_of(tmp_path / "x")
    gone = mine.with_name(mine.name.replace(str(os.getpid()), str(dead_process())))
    for one in (mine, gone):
        one.mkdir()

    clear_dead_asides(tmp_path / "x")

    assert own_aside_of(tmp_path / "x") == mine
    assert list(tmp_path.iterdir()) == [mine]


def test_asides_of_the_dead_go_and_all_else_stays(tmp_path: Path) -> None:
    path, mine = tmp_path / "x", aside_of(tmp_path / "x")
    head, _, rest = mine.name.partition(f".{os.getpid()}.")
    gone = [tmp_path / f"{head}.{dead_process()}.{rest}" for _ in range(2)]
    gone[0].touch()
    gone[1].mkdir()
    (gone[1] / "half").touch()
    kept = {
        mine.name,
        f"{head}.1.{rest}",
        f"{head}.{10**30}.{rest}",
        f"{head}.me.{rest}",
        f".x.{dead_process()}.part",
        aside_of(tmp_path / "y").name.replace(str(os.getpid()), str(dead_process())),
        "x",
    }
    for name in kept:
        (tmp_path / name).touch()

    clear_dead_asides(path)

    assert {one.name for one in tmp_path.iterdir()} == kept


def test_where_no_folder_is_there_is_nothing_to_clear(tmp_path: Path) -> None:
    clear_dead_asides(tmp_path / "none" / "x")

    assert list(tmp_path.iterdir()) == []
