"""^C and SIGKILL at many moments of a run: nothing half-written, and the next run ends the same."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from command_line import (
    ONE_CANDIDATE,
    Finished,
    asides,
    content,
    edgewise,
    end,
    interrupt,
    start,
)
from tiny_project import SPEC, write_project

from edgewise.cli import main
from edgewise.pipeline.swap import exchange_by_spare, replace_run

pytestmark = pytest.mark.integration

ONE = SPEC.replace("optimize: {min_agreement: 0.5, max_cut_loss: 0.5}", ONE_CANDIDATE)
STAGES = (
    "cloud answers",
    "optimize: features",
    "optimize: heads",
    "optimize: candidates",
    "optimize: measuring",
    "profile",
    "edge on held-out",
    "edge on calibration",
    "edge on test",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give the folder of a project that has not run."""
    write_project(tmp_path, ONE)
    return tmp_path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the bundle's hash that the project ends in when nobody interrupts it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    write_project(folder, ONE)
    return bundle_of(edgewise("run", "edgewise.yaml", "--out", "run", "--json", folder=folder))


def bundle_of(ended: Finished) -> str:
    assert ended.code == 0, ended
    return str(json.loads(ended.out)["bundle"]["sha256"])


def interrupted_at(stage: str, folder: Path) -> Finished:
    """Run the project and press ^C when it says that a stage begins."""
    process = start("run", "edgewise.yaml", "--out", "run", folder=folder)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith(f"· {stage}"):
            interrupt(process)
            break
    return end(process, said)


def check(ended: Finished, folder: Path) -> None:
    assert ended.code == 130, ended
    assert ended.out == ""
    *progress, last = ended.err.splitlines()
    assert all(line.startswith("· ") for line in progress), ended.err
    assert last == "interrupted; the same command continues where it stopped"
    assert not (folder / "run").exists()
    assert asides(folder) == []


def test_a_run_interrupted_at_each_stage_goes_on_to_the_same_end(
    project: Path, uninterrupted: str
) -> None:
    for stage in STAGES:
        check(interrupted_at(stage, project), project)

    found = edgewise("run", "edgewise.yaml", "--out", "run", "--json", folder=project)

    assert bundle_of(found) == uninterrupted
    assert "optimize" in json.loads(found.out)["cached"]
    assert edgewise("verify", "run", folder=project).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_interrupted_once_goes_on_to_the_same_end(
    project: Path, uninterrupted: str, stage: str
) -> None:
    check(interrupted_at(stage, project), project)

    found = edgewise("run", "edgewise.yaml", "--out", "run", "--json", folder=project)

    assert bundle_of(found) == uninterrupted
    assert edgewise("verify", "run", folder=project).code == 0


def test_an_impatient_second_interrupt_changes_nothing(project: Path) -> None:
    process = start("run", "edgewise.yaml", "--out", "run", folder=project)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("· optimize: candidates"):
            for _ in range(3):
                interrupt(process)
            break

    check(end(process, said), project)


# Runs the command line and sends itself a signal at the n-th change of a name, or the n-th opening
# of a file, among those that a publication writes aside: where a run could be left in halves.
STRIKER = """
import os, sys
from edgewise.cli import main
number, at, under, arguments = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
seen = 0
def strike(event, values):
    global seen
    if event not in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link"):
        return
    if not any(str(value).startswith(under) for value in values[:2]):
        return
    seen += 1
    if seen == at:
        os.kill(os.getpid(), number)
sys.addaudithook(strike)
code = main(arguments)
print("moments:", seen, file=sys.stderr)
sys.exit(code)
"""


def struck(folder: Path, under: str, number: int, at: int) -> Finished:
    """Publish the project into `run` and strike at a moment; 0 is no moment."""
    strike = [sys.executable, "-c", STRIKER, str(number), str(at), str(folder / under)]
    done = subprocess.run(
        [*strike, "run", str(folder / "edgewise.yaml"), "--out", str(folder / "run")],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


def published(folder: Path) -> int:
    return main(["run", str(folder / "edgewise.yaml"), "--out", str(folder / "run")])


@pytest.fixture
def old_run(finished_run: Path, tmp_path: Path) -> Path:
    """Give a project with a run and a decision log in `run`, which is kept in `old` too.

    What is asked for has changed since: only plan, report and summary will be others.
    """
    folder = Path(shutil.copytree(finished_run, tmp_path / "project"))
    shutil.rmtree(folder / "run")
    assert published(folder) == 0
    (folder / "run/decisions.sqlite").write_bytes(b"decisions")
    shutil.copytree(folder / "run", folder / "old")
    more = SPEC + "workload: {requests_per_month: 7}\n"
    (folder / "edgewise.yaml").write_text(more, encoding="utf-8")
    return folder


def restore(folder: Path) -> None:
    shutil.rmtree(folder / "run")
    shutil.copytree(folder / "old", folder / "run")


def moments(folder: Path, under: str, count: int) -> tuple[dict[str, str], range]:
    """Give the new run's content, and about `count` of the moments of its publication."""
    ended = struck(folder, under, 0, 0)
    assert ended.code == 0, ended
    last = int(ended.err.rpartition("moments: ")[2])
    assert last > 15
    return content(folder / "run"), range(1, last + 1, max(1, last // count))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [3, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_publication_stopped_at_any_moment_leaves_the_old_run_or_the_new_one(
    old_run: Path, number: signal.Signals, count: int
) -> None:
    old = content(old_run / "run")
    new, at = moments(old_run, ".run", count)

    for moment in at:
        restore(old_run)
        ended = struck(old_run, ".run", number, moment)
        assert ended.code == {signal.SIGKILL: -9, signal.SIGINT: 130}[number], ended
        assert "Traceback" not in ended.err
        assert content(old_run / "run") in (old, new), moment
        assert main(["verify", str(old_run / "run")]) == 0
        assert number == signal.SIGKILL or asides(old_run) == []
        assert published(old_run) == 0
        assert content(old_run / "run") == new
        assert asides(old_run) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [3, 1000])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_publication_among_folders_of_others_never_passes_for_whole_in_halves(
    old_run: Path, number: signal.Signals, count: int
) -> None:
    for name in ("run", "old"):
        (old_run / name / "notes").mkdir()
        (old_run / name / "notes/mine").write_text("mine", encoding="utf-8")
    old = content(old_run / "run")
    new, at = moments(old_run, "run/.run", count)

    for moment in at:
        restore(old_run)
        ended = struck(old_run, "run/.run", number, moment)
        assert ended.code == {signal.SIGKILL: -9, signal.SIGINT: 130}[number], ended
        found = content(old_run / "run")
        ours = {name: found[name] for name in found if not name.startswith(".run.")}
        whole = ours in (old, new)
        assert whole or number == signal.SIGKILL, moment
        assert main(["verify", str(old_run / "run")]) == (0 if whole else 3)
        assert number == signal.SIGKILL or asides(old_run) == []
        assert published(old_run) == 0
        assert content(old_run / "run") == new
        assert asides(old_run) == []


def test_a_log_that_is_open_is_written_on_through_a_publication(old_run: Path) -> None:
    (old_run / "run/decisions.sqlite").unlink()
    log = sqlite3.connect(old_run / "run/decisions.sqlite")
    log.execute("pragma journal_mode = wal")
    log.execute("create table kept (value)")
    log.commit()

    assert published(old_run) == 0
    log.execute("insert into kept values (1)")
    log.commit()

    with closing(sqlite3.connect(old_run / "run/decisions.sqlite")) as reader:
        assert reader.execute("select value from kept").fetchall() == [(1,)]
    log.close()


def test_a_run_in_the_working_directory_stays_the_working_directory(
    old_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old_run / "run")
    (old_run / "run/decisions.sqlite").unlink()

    assert main(["run", "../edgewise.yaml", "--out", "."]) == 0

    assert Path("run.json").samefile(old_run / "run/run.json")
    assert main(["verify", "."]) == 0


def write(folder: Path) -> None:
    (folder / "part").write_text("new", encoding="utf-8")


def test_two_renames_do_where_no_exchange_is_known(tmp_path: Path) -> None:
    new, there, spare = (tmp_path / name for name in ("new", "there", "spare"))
    for folder in (new, there):
        folder.mkdir()
        (folder / "name").write_text(folder.name, encoding="utf-8")

    exchange_by_spare(new, there, spare)

    assert (there / "name").read_text(encoding="utf-8") == "new"
    assert (spare / "name").read_text(encoding="utf-8") == "there"
    with pytest.raises(FileNotFoundError):
        exchange_by_spare(new, there, tmp_path / "other")
    assert (there / "name").read_text(encoding="utf-8") == "new"


def test_a_run_put_aside_by_a_killed_exchange_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".run.old").mkdir()
    (tmp_path / ".run.old/part").write_text("old", encoding="utf-8")
    (tmp_path / ".run.old/decisions.sqlite").write_text("kept", encoding="utf-8")
    (tmp_path / ".run.part").mkdir()

    replace_run(tmp_path / "run", ("part",), write)

    assert (tmp_path / "run/part").read_text(encoding="utf-8") == "new"
    assert (tmp_path / "run/decisions.sqlite").read_text(encoding="utf-8") == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
