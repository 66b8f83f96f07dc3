"""The decision log against what devices meet: power cuts, full disks, two writers."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edgewise.observe import DecisionLog

pytestmark = pytest.mark.integration

PREAMBLE = """
import sys
from pathlib import Path
from edgewise.errors import StorageError
from edgewise.observe import DecisionLog
from edgewise.records import Attempt, Decision, Outcome, Reason, RequestFacts

def decision(name):
    return Decision(
        request_id=name, at_s=1.0, policy_version="p", allowed=("edge",),
        facts=RequestFacts(request_id=name, input_length=1, input_bytes=1),
        reasons=(Reason.CONFIDENT,), location="edge", latency_ms=1.0, cost_usd=0.0,
        attempts=(Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=1.0),))

log = DecisionLog(Path(sys.argv[1]))
"""

UNTIL_KILLED = """
number = 0
while True:
    log.append(decision(f"{number:07d}"))
    number += 1
    if number % 100 == 0:
        log.flush()
        print("flushed", number, flush=True)
"""

ON_A_DISK_THAT_FILLS = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
taken = 0
try:
    while taken < 100_000:
        log.append(decision(f"{taken:07d}"))
        taken += 1
        if taken % 50 == 0:
            log.flush()
except StorageError as failure:
    print(failure.what, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.flush()
log.append(decision("after"))
log.close()
print(taken, log.count(), flush=True)
"""

A_WRITER = """
for number in range(300):
    log.append(decision(f"{sys.argv[2]}-{number}"))
    if number % 50 == 0:
        log.flush()
log.close()
"""


def start(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_process_loses_at_most_what_was_not_flushed(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"

    with start(UNTIL_KILLED, str(path)) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(5)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    flushed = max(int(line.split()[1]) for line in lines if line.endswith("\n"))

    assert child.returncode == -signal.SIGKILL
    with DecisionLog(path) as log:
        names = [one.request_id for one in log.read()]
    assert flushed <= len(names) <= flushed + 200
    assert names == [f"{number:07d}" for number in range(len(names))]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_a_full_disk_is_said_and_nothing_taken_is_lost_once_there_is_space(tmp_path: Path) -> None:
    with start(ON_A_DISK_THAT_FILLS, str(tmp_path / "log.sqlite")) as child:
        told, _ = child.communicate()
    said, counts = told.splitlines()
    taken, written = (int(word) for word in counts.split())

    assert child.returncode == 0
    assert said.startswith("the decision log can't be written (")
    assert 0 < taken < 100_000
    assert written == taken + 1


def test_two_processes_write_one_log(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"

    with start(A_WRITER, str(path), "a") as one, start(A_WRITER, str(path), "b") as other:
        one.wait()
        other.wait()

    assert (one.returncode, other.returncode) == (0, 0)
    with DecisionLog(path) as log:
        assert log.count() == 600
