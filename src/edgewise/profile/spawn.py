"""The parent's end of a child process: a request in, messages out, nothing left behind."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edgewise import errors
from edgewise.errors import EdgewiseError, InvalidData, InvalidModel
from edgewise.records import Input

Message = dict[str, Any]


class Child:
    """A process that says JSON lines. It is killed when the block is left, however it is left.

    Parameters
    ----------
    module
        Run as `python -m`, with the request in JSON as its one argument.
    request
        Its `bundle` stands in errors as the place.
    """

    def __init__(self, module: str, request: Mapping[str, Any]) -> None:
        self._where = str(request["bundle"])
        # `-P`: a module in the current folder must not be taken for ours.
        self._command = [sys.executable, "-P", "-m", module, json.dumps(request)]
        self._trouble = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by __exit__
        self._started_s = 0.0

    def __enter__(self) -> "Child":
        self._started_s = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._trouble,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.__exit__(kind, error, trace)
        self._trouble.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit status, negative for a signal; `None` until `receive` has met the end."""
        return self._process.returncode

    def age_ms(self) -> float:
        """Give the time since the process was started."""
        return (time.perf_counter() - self._started_s) * 1000

    def kill(self) -> None:
        """End the process; what it said before can still be read."""
        self._process.kill()

    def send(self, value: Mapping[str, Any]) -> None:
        """Hand it a JSON line; where it has ended, `receive` says so."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()

    def receive(self) -> Message:
        """Wait for its next message.

        Raises
        ------
        EdgewiseError
            The one that it passed on.
        InvalidModel
            When it ended without a word.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.endswith("\n"):
            return understand(line)
        code = self._process.wait()
        self._trouble.seek(0)
        raise ended_early(code, self._trouble.read(), self._where)


def understand(line: str) -> Message:
    """Read a child's message.

    Raises
    ------
    EdgewiseError
        The one that the child passed on.
    """
    said: Message = json.loads(line)
    if "error" in said:
        raise getattr(errors, said["kind"], EdgewiseError)(**said["error"])
    return said


def ended_early(code: int, trouble: str, where: str) -> InvalidModel:
    """Word the end of a process from its exit status and the last line of its stderr."""
    ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    said = (trouble.strip().splitlines() or [""])[-1][:200]
    what = f"the model's process ended early ({ended})" + (f": {said}" if said else "")
    return InvalidModel(what, where=where, hint="is there enough memory for this model?")


def write_inputs(folder: Path, inputs: Sequence[Input]) -> Path:
    """Write inputs to a JSON file; arrays and bytes become files beside it, and their paths.

    Raises
    ------
    InvalidData
        When a value is neither of these and has no JSON form.
    """
    plain = [
        {
            key: _plain(value, folder / f"{number}-{at}")
            for at, (key, value) in enumerate(one.items())
        }
        for number, one in enumerate(inputs)
    ]
    file = folder / "inputs.json"
    try:
        file.write_text(json.dumps(plain), encoding="utf-8")
    except TypeError as wrong:
        what = f"an input can't be handed to another process: {wrong}"
        raise InvalidData(
            what, where="profile", hint="give text, numbers, paths, arrays"
        ) from wrong
    return file


def _plain(value: Any, aside: Path) -> Any:
    if isinstance(value, np.ndarray):
        file = aside.with_suffix(".npy")
        np.save(file, value, allow_pickle=False)
        return str(file)
    if isinstance(value, bytes):
        aside.write_bytes(value)
        return str(aside)
    return str(value) if isinstance(value, Path) else value
