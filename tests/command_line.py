"""The real command line in child processes, and what a folder holds before and after."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 300
"""A child that hangs; a test's own limit mostly comes first, with where it hung."""

# A fast project with one candidate: what it ends in does not depend on measured latencies.
ONE_CANDIDATE = "optimize: {layers: [1], recipes: [float32]}"


def _in_words(err: str) -> str:
    """Give what a server says of itself in lines of JSON as other verbs say it."""
    if not err.startswith("{"):
        return err
    *before, last = map(json.loads, err.splitlines())
    assert last["event"] == "refused", err
    assert all(one["level"] == "info" for one in before), err
    return f"error: {last['where']}: {last['what']}\n\nhint: {last['hint']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a command ended with."""

    code: int
    out: str
    err: str

    def refused(self, *words: str, code: int = 1) -> str:
        """Hold a refusal to its form: what, where, hint, nothing else; give what, where and hint.

        `words` must all stand in the message.
        """
        assert self.code == code, self
        assert "Traceback" not in self.err, self.err
        assert self.out == "", self.out
        head, found, message = _in_words(self.err).partition("error: ")
        assert found, self.err
        assert all(line.startswith("· ") for line in head.splitlines()), head
        what, blank, hint = message.partition("\n\nhint: ")
        assert blank, message
        assert hint.strip(), message
        assert ": " in what, f"no place is named: {what}"
        assert "\n" not in what, message
        for word in words:
            assert word in message, f"`{word}` is not in: {message}"
        return message


def edgewise(
    *arguments: str | Path,
    folder: Path,
    before: Callable[[], None] | None = None,
    stdout: int | None = None,
) -> Finished:
    """Run a command to its end with `folder` as the working directory.

    Parameters
    ----------
    before
        Called in the child before the command starts.
    stdout
        A file descriptor to write results to, instead of the pipe.
    """
    done = subprocess.run(
        command_of(*arguments),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
        preexec_fn=before,
        env=_plain_environment() if before else None,
    )
    return Finished(code=done.returncode, out=done.stdout or "", err=done.stderr)


def command_of(*arguments: str | Path) -> list[str]:
    """Give the command as a list."""
    return [sys.executable, "-m", "edgewise", *map(str, arguments)]


def start(*arguments: str | Path, folder: Path) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        command_of(*arguments),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        env=_plain_environment(),
    )


def _plain_environment() -> dict[str, str]:
    """Give an environment without coverage, which would write and wait where a limit is tested."""
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


def interrupt(process: subprocess.Popen[str]) -> None:
    """Do what ^C does: send SIGINT to the process and its children."""
    os.killpg(process.pid, signal.SIGINT)


def end(process: subprocess.Popen[str], said: str = "") -> Finished:
    """Wait for a command and see that no process of its group is left.

    Parameters
    ----------
    said
        What was read of its stderr already.
    """
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode is not None
    assert not _group_lives(process.pid), "a child outlived the command"
    return Finished(code=process.returncode, out=out, err=said + err)


def content(folder: Path) -> dict[str, str]:
    """Hash every file of a folder by its path; empty where there is no folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
    }


def asides(folder: Path) -> list[str]:
    """Give the names of what was written aside and not finished."""
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name.endswith((".part", ".old")) or ".part." in path.name
    ]


def _group_lives(group: int) -> bool:
    """Say whether a process of the group still runs; one that has ended may wait to be buried."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state = (process / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has just ended
            continue
        # After the name, in brackets, come the state, the parent and the group.
        letter, _, its_group = state.rpartition(")")[2].split()[:3]
        if int(its_group) == group and letter not in "ZX":
            return True
    return False
