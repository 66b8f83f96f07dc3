"""A plan as a page: plots that read without colour, tables that copy as CSV."""

import csv
import html
import io
import re
from dataclasses import replace

import pytest
from plan_numbers import basis

from edgewise.plan import Evidence, plan_from
from edgewise.records import Costs, Distribution, MonthlyUsd, Plan, Shape, Swing
from edgewise.report import plan_markdown, render_plan
from edgewise.report.plan_plots import plan_charts, short
from edgewise.report.plan_tables import plan_tables
from edgewise.report.tornado import draw_tornado

KNOWN = Evidence(
    p50_ms=10,
    p95_ms=20,
    peak_memory_bytes=1,
    size_bytes=1,
    edge_loss=0.5,
    hybrid_loss=0.0,
    deferral_share=0.25,
)
UNSURE = {
    "workload.device_usd": Distribution(shape=Shape.TRIANGULAR, low=40, mode=48, high=900),
    "workload.requests_per_month": Distribution(shape=Shape.LOGNORMAL, low=5e4, high=5e6),
}
BARE = Plan(
    recommendation="Nothing | at all",
    choice=None,
    feasible=False,
    monthly_usd=MonthlyUsd(edge=0, cloud=None, hybrid=None),
    break_even_requests_per_month=None,
    reasons=(),
)


def planned(uncertain: dict[str, Distribution] | None = None) -> Plan:
    return plan_from(basis(Costs(uncertain=uncertain or {})), KNOWN, draws=500)


def swing(low_usd: float, high_usd: float, low: float = 1.0) -> Swing:
    return Swing(
        name="a <price>",
        low=low,
        high=2e9,
        low_usd=low_usd,
        high_usd=high_usd,
        flips=True,
        first_order=1,
        total=1,
        worth_usd_per_month=0,
    )


def test_a_plan_with_draws_has_every_plot_and_says_what_each_shows() -> None:
    charts = dict(plan_charts(planned(UNSURE)))

    assert list(charts) == [
        "Cost by volume",
        "Cost over time",
        "What moves the choice",
        "Trade-offs",
    ]
    for drawing in charts.values():
        assert drawing.startswith("<svg")
        assert "<title>" in drawing
        assert "<desc>" in drawing
    assert "paid back after" in charts["Cost over time"]
    assert "hybrid less the next best" in charts["What moves the choice"]


def test_a_plan_of_exact_numbers_has_no_tornado() -> None:
    assert "What moves the choice" not in dict(plan_charts(planned()))


def test_a_plan_of_nothing_has_no_plots_and_no_tables() -> None:
    assert plan_charts(BARE) == []
    assert plan_tables(BARE) == []
    assert plan_markdown(BARE).startswith("# Nothing | at all")
    assert "<h2>Plots</h2>" not in render_plan(BARE)


def test_the_edge_alone_is_drawn_without_marks() -> None:
    alone = plan_from(replace(basis(Costs(uncertain=UNSURE)), cloud=None), KNOWN, draws=500)

    charts = dict(plan_charts(alone))

    assert "this workload" in charts["Cost by volume"]
    assert "paid back" not in charts["Cost over time"]
    assert "cost of edge" in charts["What moves the choice"]
    assert "Trade-offs" not in charts


def test_a_plan_without_its_basis_is_drawn_at_one_request() -> None:
    found = replace(planned(), basis=None, break_even_requests_per_month=None)

    assert "this workload" in dict(plan_charts(found))["Cost by volume"]
    assert "<title>plan – Edgewise plan</title>" in render_plan(found)


def test_trade_offs_whose_every_dot_is_beaten_are_dots_alone() -> None:
    found = planned()
    beaten = tuple(replace(one, beaten_by=("x",)) for one in found.tradeoffs)

    drawing = dict(plan_charts(replace(found, tradeoffs=beaten)))["Trade-offs"]

    assert "none beats" not in drawing


def test_trade_offs_are_of_quality_where_it_is_known_and_else_of_latency() -> None:
    watched = plan_from(basis(None, watts=2.0), KNOWN)
    blind = plan_from(basis(), replace(KNOWN, edge_loss=None, hybrid_loss=None))
    unseen = plan_from(basis(), replace(KNOWN, p95_ms=None))

    assert "quality lost against the cloud" in dict(plan_charts(watched))["Trade-offs"]
    assert "J a request" in dict(plan_charts(watched))["Trade-offs"]
    assert "p95, ms" in dict(plan_charts(blind))["Trade-offs"]
    assert "hybrid, 700 USD a month, loses 0.0%" in dict(plan_charts(unseen))["Trade-offs"]


def test_tables_copy_as_csv_and_read_back() -> None:
    page = render_plan(planned(UNSURE))

    copied = re.findall(r'<pre class="csv">(.*?)</pre>', page, re.DOTALL)
    tables = [list(csv.reader(io.StringIO(html.unescape(text)))) for text in copied]
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert len(tables) == len(titles) - 1
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    assert ["option", "artifact kinds", "rollouts a month", "on-call surface", "origin"] in [
        table[0] for table in tables
    ]


def test_a_page_shows_warnings_and_notes() -> None:
    found = replace(planned(), warnings=("two & two",))

    assert "two &amp; two" in render_plan(found)
    assert "Every number is taken as exact: none is a distribution." in render_plan(found)
    assert "- check: two & two" in plan_markdown(found)


def test_a_markdown_cell_keeps_its_table_whole() -> None:
    lines = [line for line in plan_markdown(planned(UNSURE)).splitlines() if line.startswith("|")]

    assert all(line.endswith("|") for line in lines)


def test_a_bar_labels_both_ends_whichever_way_it_points() -> None:
    rising, falling = draw_tornado([swing(-5, 5)], "a"), draw_tornado([swing(5, -5, 3)], "a")

    for drawing, low in ((rising, "1"), (falling, "3")):
        assert f">{low}</text>" in drawing
        assert ">2 G</text>" in drawing
        assert "a &lt;price&gt;" in drawing
    assert draw_tornado([swing(0, 0)], "a").startswith("<svg")
    assert draw_tornado([], "a") == ""


@pytest.mark.parametrize(
    ("value", "words"), [(12, "12"), (1234, "1.23 k"), (-2.5e6, "-2.5 M"), (3e9, "3 G")]
)
def test_large_numbers_are_short(value: float, words: str) -> None:
    assert short(value) == words
