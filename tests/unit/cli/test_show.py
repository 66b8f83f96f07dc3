"""Tables and progress as the command line shows them."""

import io
import sys

import pytest

from edgewise.cli.show import Bars, table


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_table_has_words_to_the_left_and_numbers_to_the_right() -> None:
    shown = table(("name", "size", ""), [("a", "1 MB", "kept"), ("longer", "10 MB", "out")])

    assert shown.splitlines() == [
        "name     size",
        "──────  ─────",
        "a        1 MB  kept",
        "longer  10 MB  out",
    ]


def test_progress_on_no_terminal_is_one_line_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        for done in range(3):
            bars("head", done, 2)
        bars("gate", 0, 5)

    shown = capsys.readouterr()
    assert shown.err == "· head\n· gate\n"
    assert shown.out == ""


def test_progress_on_a_terminal_is_a_bar_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with Bars() as bars:
        bars("head", 0, 4)
        bars("head", 4, 4)
        bars("gate", 1, 2)

    shown = terminal.getvalue()
    assert "head: 100%" in shown
    assert "4/4" in shown
    assert "gate:  50%" in shown
    assert shown.endswith("\n")
