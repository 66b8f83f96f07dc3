"""The report in a real browser: offline, light and dark, without colour, on paper."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CONTRAST, LETTERS, OVERLAPS, chromium, complaints, look

from edgewise.cli import main

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples/retail_site/edgewise.yaml"
KINDS = ("plan", "run")


@pytest.fixture(scope="module")
def pages(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give the page of a plan before anything was measured, and that of a finished run."""
    out = tmp_path_factory.mktemp("pages") / "report.html"
    assert main(["plan", str(EXAMPLE), "--format", "html", "--out", str(out)]) == 0
    return {"plan": out, "run": finished_run / "run" / "report.html"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_reads_light_and_dark_and_asks_for_nothing(
    pages: dict[str, Path], browser: Any, kind: str, dark: bool
) -> None:
    browser.get_log("performance")

    look(browser, pages[kind].as_uri(), dark=dark)

    assert browser.execute_script(CONTRAST) == []
    assert complaints(browser) == []
    sent = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    asked = [one["params"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    assert [one["request"]["url"] for one in asked] == [pages[kind].as_uri()]
    assert pages[kind].stat().st_size < 3_000_000


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("plan", ["What moves the choice"]),
        ("run", ["Accuracy against deferral", "Reliability", "Decisions by confidence"]),
    ],
)
def test_the_page_has_a_sentence_the_options_and_each_plot(
    pages: dict[str, Path], browser: Any, kind: str, titles: list[str]
) -> None:
    look(browser, pages[kind].as_uri())

    def texts(selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
        found: list[str] = browser.execute_script(script, selector)
        return found

    (sentence,) = texts("h1")
    assert re.fullmatch(r"(Run|Use|Nothing).*\.", sentence)
    assert "Options" in texts("h2")
    both = ["Cost by volume", "Cost over time", "Trade-offs", "How late answers are"]
    assert {*both, *titles} <= set(texts("figcaption"))
    assert all(texts("svg > title"))
    assert all(texts("svg > desc"))


@pytest.mark.parametrize("kind", KINDS)
def test_lines_of_a_plot_differ_in_their_dashes(
    pages: dict[str, Path], browser: Any, kind: str
) -> None:
    look(browser, pages[kind].as_uri())

    plots = browser.execute_script(
        "return [...document.querySelectorAll('svg')].map((svg) =>"
        "[...svg.querySelectorAll('polyline')].map((one) => {const s = getComputedStyle(one);"
        "return s.strokeDasharray + ' ' + s.strokeWidth}))"
    )

    assert sum(len(one) > 1 for one in plots) >= 3
    assert all(len(set(one)) == len(one) for one in plots)


@pytest.mark.parametrize("kind", KINDS)
def test_each_table_is_copied_as_csv_by_one_click(
    pages: dict[str, Path], browser: Any, kind: str
) -> None:
    look(browser, pages[kind].as_uri())
    cards = browser.find_elements("css selector", ".card:has(table)")

    for card in cards:
        card.find_element("css selector", "summary").click()
        card.find_element("css selector", "pre").click()
        copied = browser.execute_script("return getSelection().toString()")
        rows = list(csv.reader(io.StringIO(copied)))
        shown = browser.execute_script(
            "return [...arguments[0].querySelectorAll('tr')].map((row) =>"
            "[...row.cells].map((one) => one.textContent))",
            card,
        )
        assert rows == shown
    assert len(cards) > 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_phones_width_is_enough(pages: dict[str, Path], browser: Any, kind: str) -> None:
    look(browser, pages[kind].as_uri(), width=360)

    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("width", [360, 540, 768, 1100, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_letters_of_plots_are_large_enough_at_each_width_and_nothing_lies_over_them(
    pages: dict[str, Path], browser: Any, kind: str, width: int
) -> None:
    look(browser, pages[kind].as_uri(), width=width)

    assert min(browser.execute_script(LETTERS)) >= 11
    assert max(browser.execute_script(LETTERS)) <= 17
    assert browser.execute_script(OVERLAPS) == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_plot_is_seen_and_read_aloud_once(
    pages: dict[str, Path], browser: Any, kind: str
) -> None:
    shown = (
        "return [...document.querySelectorAll('figure')].map((one) =>"
        "[...one.querySelectorAll('svg')].filter((svg) => svg.checkVisibility())"
        ".map((svg) => svg.getAttribute('class')).join())"
    )

    looks = []
    for width in (360, 1280):
        look(browser, pages[kind].as_uri(), width=width)
        looks.append(set(browser.execute_script(shown)))

    assert looks == [{"narrow"}, {"wide"}]


@pytest.mark.parametrize("kind", KINDS)
def test_on_paper_the_page_is_dark_on_white_and_nothing_is_cut_off(
    pages: dict[str, Path], browser: Any, kind: str
) -> None:
    # 703 pixels are the 186 mm between the margins of A4.
    look(browser, pages[kind].as_uri(), width=703, dark=True, media="print")

    assert browser.execute_script(CONTRAST) == []
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(255, 255, 255)"
    wide = browser.execute_script(
        "return [...document.querySelectorAll('table, svg, pre, h1')]"
        ".filter((one) => one.getBoundingClientRect().right > 703).length"
    )
    assert wide == 0
    shown = "return [...document.querySelectorAll('pre')].filter((one) => one.offsetHeight).length"
    assert browser.execute_script(shown) == 0
    assert min(browser.execute_script(LETTERS)) >= 11
    assert browser.execute_script(OVERLAPS) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_pdf_is_printed_by_the_browser_that_is_there(
    pages: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "made" / "report.pdf"
    verb = ["plan", str(EXAMPLE)] if kind == "plan" else ["report", str(pages[kind].parent)]

    assert main([*verb, "--format", "pdf", "--out", str(out)]) == 0

    content = out.read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert 2 <= len(re.findall(rb"/Type /Page\b", content)) <= 12
    assert b"/MediaBox [0 0 595" in content or b"/MediaBox [0 0 594" in content
    assert [one.name for one in out.parent.iterdir()] == ["report.pdf"]
