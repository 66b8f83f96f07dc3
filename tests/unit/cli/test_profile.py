"""`edgewise profile` refuses options that it would pass over."""

from pathlib import Path

import pytest

from edgewise.cli import main


@pytest.mark.parametrize(
    ("option", "what"),
    [
        (("--rounds", "120"), "--rounds: rounds are of a comparison"),
        (("--column", "review"), "--column: a column is of --data"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str], what: str
) -> None:
    assert main(["profile", str(tmp_path), *option]) == 2

    said = capsys.readouterr().err
    assert what in said
    assert "hint: " in said
