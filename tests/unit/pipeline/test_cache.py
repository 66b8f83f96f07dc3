"""Results are kept whole or not at all, and found again by what they depend on."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgewise.errors import InvalidModel, StorageError
from edgewise.pipeline.cache import Cache, hash_path, key_of
from edgewise.records import MonthlyUsd

MONEY = MonthlyUsd(edge=1.0, cloud=2.0, hybrid=None)
OTHER = MonthlyUsd(edge=3.0, cloud=None, hybrid=None)


def refuse() -> MonthlyUsd:
    raise InvalidModel("it was made again")


def refuse_folder(folder: Path) -> None:
    (folder / "half").write_text("half")
    raise InvalidModel("it broke half-way")


def test_a_record_is_made_once_for_the_same_parts(tmp_path: Path) -> None:
    Cache(tmp_path).record("plan", ("a", 1), MonthlyUsd, lambda: MONEY)
    later = Cache(tmp_path)

    assert later.record("plan", ("a", 1), MonthlyUsd, refuse) == MONEY
    assert later.record("plan", ("a", 2), MonthlyUsd, lambda: OTHER) == OTHER
    assert (later.cached, later.done) == (["plan"], ["plan"])


def test_a_record_that_can_not_be_read_is_made_again(tmp_path: Path) -> None:
    Cache(tmp_path).record("plan", (), MonthlyUsd, lambda: OTHER)
    (kept,) = tmp_path.iterdir()
    kept.write_text("{", encoding="utf-8")
    later = Cache(tmp_path)

    assert later.record("plan", (), MonthlyUsd, lambda: MONEY) == MONEY
    assert later.done == ["plan"]
    assert Cache(tmp_path).record("plan", (), MonthlyUsd, refuse) == MONEY


def test_a_folder_is_kept_only_when_it_is_whole(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    with pytest.raises(InvalidModel):
        cache.directory("optimize", (), refuse_folder)
    assert list(tmp_path.iterdir()) == []

    made = cache.directory("optimize", (), lambda folder: folder.joinpath("whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert cache.directory("optimize", (), refuse_folder) == made


MAKES_SLOWLY = """
import sys
from pathlib import Path
from edgewise.pipeline.cache import Cache

def make(folder):
    folder.joinpath("half").write_text("half")
    print(folder.name, flush=True)
    sys.stdin.readline()
    folder.joinpath("whole").write_text("theirs")

made = Cache(Path(sys.argv[1])).directory("optimize", (), make)
print(made.joinpath("whole").read_text(), flush=True)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Give another process that is half-way through what the cache shall hold."""
    command = [sys.executable, "-c", MAKES_SLOWLY, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.kill()


def test_two_processes_that_make_the_same_do_not_touch_each_others(
    tmp_path: Path, other: "subprocess.Popen[str]"
) -> None:
    assert other.stdout is not None
    theirs = other.stdout.readline().strip()

    def make(folder: Path) -> None:
        assert folder.name != theirs
        folder.joinpath("whole").write_text("ours")

    made = Cache(tmp_path).directory("optimize", (), make)
    assert tmp_path.joinpath(theirs, "half").is_file()
    said, _ = other.communicate("\n")

    # Whoever ends first gives it to both, and nobody's half stays.
    assert (other.returncode, said) == (0, "ours\n")
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert list(tmp_path.iterdir()) == [made]


def test_what_a_killed_process_left_is_cleared(
    tmp_path: Path, other: "subprocess.Popen[str]"
) -> None:
    assert other.stdout is not None
    theirs = other.stdout.readline().strip()
    other.kill()
    other.wait()
    assert tmp_path.joinpath(theirs).is_dir()

    made = Cache(tmp_path).directory("optimize", (), lambda folder: folder.joinpath("a").touch())

    assert list(tmp_path.iterdir()) == [made]


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError) as caught:
        Cache(tmp_path / "file").directory("optimize", (), lambda _: None)

    assert caught.value.what.startswith("can't write: ")
    assert caught.value.where.startswith(str(tmp_path / "file"))
    assert "pick another place" in caught.value.hint


def test_a_key_depends_on_the_stage_and_on_each_part() -> None:
    keys = [key_of("a", (1, 2)), key_of("b", (1, 2)), key_of("a", (12,)), key_of("a", (1, 3))]

    assert len(set(keys)) == 4
    assert key_of("a", (1, 2)) == keys[0]


def test_a_folders_hash_depends_on_names_and_content(tmp_path: Path) -> None:
    for name, file, content in (
        ("one", "a", "x"),
        ("same", "a", "x"),
        ("named", "b", "x"),
        ("filled", "a", "y"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(content)
    hashes = {name: hash_path(tmp_path / name) for name in ("one", "same", "named", "filled")}

    assert hashes["one"] == hashes["same"]
    assert len(set(hashes.values())) == 3
    assert hash_path(tmp_path / "one/a") == hash_path(tmp_path / "same/a")
