"""How the command line shows things: JSON, tables, and bars of progress on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import click

from edgewise.errors import EdgewiseError, UsageError
from edgewise.records import SCHEMA_VERSION, Certificate


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object with its schema version on stdout."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **value}, allow_nan=False))


def say(line: str = "") -> None:
    """Print a line of the result on stdout."""
    click.echo(line)


def to_stderr(line: str) -> None:
    """Print a line on stderr."""
    click.echo(line, err=True)


def print_failure(
    failure: EdgewiseError, *, as_json: bool, beside: Mapping[str, Any] | None = None
) -> int:
    """Print a failure on stdout where JSON is asked for; give the exit code that it has.

    Parameters
    ----------
    beside
        What was done before it, for the same JSON object.
    """
    if as_json:
        kind = type(failure).__name__
        error = {"kind": kind, "what": failure.what, "where": failure.where, "hint": failure.hint}
        print_json({**(beside or {}), "error": error})
    return 2 if isinstance(failure, UsageError) else 1


def show_certificate(one: Certificate, written: Iterable[str], *, before: str = "") -> None:
    """Print a certificate for people, and the files that hold it.

    Parameters
    ----------
    before
        What was kept before it, in words.
    """
    if one.threshold is not None:
        say(
            f"{one.state.value}: {one.loss.value} loss ≤ {one.alpha:.1%} at {1 - one.delta:.0%} "
            f"confidence, keeping from {one.threshold:.4f} on{before}, "
            f"deferring {one.deferral_rate:.1%}"
        )
    else:
        say(one.state.value)
    for line in (*one.reasons, *one.warnings):
        say(f"  - {line}")
    for path in written:
        say(path)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table for people: the first column and one without a name to the left."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    shown = []
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [
            cell.rjust(width) if name else cell
            for name, cell, width in zip(header[1:], line[1:], widths[1:], strict=True)
        ]
        shown.append("  ".join(cells).rstrip())
    shown.insert(
        1, "  ".join("─" * w for name, w in zip(("-", *header[1:]), widths, strict=True) if name)
    )
    return "\n".join(shown)


class Bars:
    """Progress on stderr with time left, a bar a stage. Made and closed by a verb.

    Where stderr is no terminal, or tqdm is not installed, a stage is one line when it starts.
    """

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def __enter__(self) -> "Bars":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` parts of a stage are finished."""
        if stage != self._stage:
            self._close()
            self._stage = stage
            self._open(stage, total)
        if self._bar is not None:
            self._bar.total = total
            self._bar.n = done
            self._bar.refresh()

    def _open(self, stage: str, total: int) -> None:
        self._bar = _bar(stage, total) if total and sys.stderr.isatty() else None
        if self._bar is None:
            to_stderr(f"· {stage}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _bar(stage: str, total: int) -> Any:
    try:
        from tqdm import tqdm  # noqa: PLC0415 - loaded when there is something to show
    except ModuleNotFoundError:
        return None
    return tqdm(total=total, desc=f"· {stage}", file=sys.stderr, leave=True, ncols=88)
