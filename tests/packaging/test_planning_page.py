"""The page on planning: its code prints what it shows, and its plots are the report's."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from edgewise.cli import main
from edgewise.pipeline import plan_again
from edgewise.plan.prices import parse_table
from edgewise.report.plan_plots import cost_by_volume, cost_over_time, tornado

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "planning.md").read_text("utf-8")
STYLE = (
    "<style>svg{font:12px sans-serif;fill:#626b75;background:#fff}.grid{stroke:#e2e0d9}"
    ".axis{stroke:#626b75}polyline{fill:none;stroke-width:2.2}.key{stroke-width:2.2}.s1{stroke:#0b6e6e}"
    ".s2{stroke:#b4501e;stroke-dasharray:7 4}.s3{stroke:#5a4fb0;stroke-dasharray:2 4}"
    ".mark{stroke:#1d2126;stroke-dasharray:1 3}.note,.name{fill:#1d2126;stroke:none}"
    ".bar{fill:#0b6e6e;fill-opacity:.25;stroke:#0b6e6e}.dot{fill:#fff}.full{fill:#0b6e6e}</style>"
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "edgewise.yaml"
    path.write_text(blocks("yaml")[0], encoding="utf-8")
    return path


def test_the_code_prints_what_stands_below_it() -> None:
    names: dict[str, object] = {}
    codes, shown = blocks("python"), blocks("text")
    assert len(codes) == 3

    for code, expected in zip(codes, shown, strict=False):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == expected


def test_the_command_prints_what_stands_below_it(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    command, _, expected = blocks("console")[0].partition("\n")

    assert main(shlex.split(command)[2:]) == 0

    assert capsys.readouterr().out == expected


def test_the_table_of_ones_own_is_one() -> None:
    made = parse_table("own", blocks("text")[-1], where="own.csv")

    assert made.rows[0].value == pytest.approx(410 * 1.08)


def test_the_plots_are_those_of_the_report(spec: Path) -> None:
    plan = plan_again(spec, draws=10_000, seed=0)

    for name, drawn in (
        ("volume", cost_by_volume(plan)),
        ("time", cost_over_time(plan)),
        ("tornado", tornado(plan)),
    ):
        kept = (DOCS / f"images/planning-{name}.svg").read_text("utf-8")
        assert kept == alone(drawn)


def alone(drawn: str) -> str:
    """Give a plot of the report as a file of its own."""
    head, body = drawn.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{STYLE}{body}\n'


@pytest.mark.parametrize(
    ("name", "choice"),
    [("retail_site", "cloud"), ("phone_fleet", "hybrid"), ("llm_assistant", "cloud")],
)
def test_each_example_goes_from_its_file_to_a_report(
    name: str, choice: str, tmp_path: Path
) -> None:
    file, out = DOCS.parent / f"examples/{name}/edgewise.yaml", tmp_path / "report.html"

    assert main(["plan", str(file), "--format", "html", "--out", str(out)]) == 0

    plan = plan_again(file, draws=500, seed=0)
    assert plan.choice == choice
    assert plan.warnings == ()
    assert plan.recommendation in out.read_text("utf-8")


@pytest.mark.parametrize("name", ["retail_site", "phone_fleet", "llm_assistant"])
def test_the_page_of_each_example_names_files_that_are_there(name: str) -> None:
    folder = DOCS.parent / "examples" / name

    commands = re.findall(
        r"^\$ edgewise \w+ (\S+)", (folder / "README.md").read_text("utf-8"), re.M
    )

    assert len(commands) == 3
    assert all((DOCS.parent / path).is_file() for path in commands)
