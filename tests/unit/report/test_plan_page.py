"""A plan as a page: plots that read without colour, tables that copy as CSV."""

import csv
import html
import io
import re
from dataclasses import replace
from itertools import combinations

import plan_numbers
import pytest
from plan_numbers import basis

from edgewise.plan import plan_from
from edgewise.records import (
    Certainty,
    Costs,
    DecisionBin,
    Distribution,
    MonthlyUsd,
    Objective,
    OptionReplay,
    Plan,
    Shape,
    Swing,
    TraceReplay,
)
from edgewise.report import plan_markdown, render_plan
from edgewise.report.chart import Bubble, Chart, draw
from edgewise.report.decision_map import draw_decisions
from edgewise.report.layout import NARROW, WIDE, Box, Layout, Place, apart, width_of, wrapped
from edgewise.report.plan_plots import (
    cost_by_volume,
    latency_shares,
    plan_charts,
    plan_plots,
    short,
)
from edgewise.report.plan_tables import plan_tables
from edgewise.report.scale import Scale
from edgewise.report.table import Table
from edgewise.report.tornado import draw_tornado

KNOWN = replace(plan_numbers.KNOWN, edge_loss=0.5)
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
        "How late answers are",
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


def decided(**changes: float | bool | None) -> DecisionBin:
    one = DecisionBin(
        confidence_low=0.5,
        confidence_high=0.6,
        n=100,
        edge_right_share=0.7,
        cloud_right_share=0.9,
        kept=False,
    )
    return replace(one, **changes)  # type: ignore[arg-type]


KEPT = decided(confidence_low=0.6, confidence_high=1.0, n=300, edge_right_share=0.95, kept=True)


def points_of(drawing: str, style: str) -> list[tuple[float, float]]:
    """Read the corners of a line, and hold that the style draws one."""
    (found,) = re.findall(rf'<polyline class="{style}" points="([^"]*)"', drawing)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found.split())]


def test_how_late_answers_are_is_drawn_for_each_option_with_what_is_asked() -> None:
    late = replace(basis(), objective=Objective(latency_p95_ms=150.0))

    drawing = latency_shares(plan_from(late, KNOWN))

    assert "asked: 150 ms" in drawing
    assert "Assumed lognormal through p50 and p95: edge, cloud, hybrid." in drawing
    assert "share of the answers; all assumed" in drawing
    for style in ("s1", "s2", "s3"):
        line = points_of(drawing, style)
        # Later to the right, more answers further up.
        assert line == sorted(line, key=lambda point: (point[0], -point[1]))


def test_latency_that_was_timed_is_told_from_what_is_assumed() -> None:
    timed = replace(KNOWN, latency_quantiles=((0.01, 5.0), (0.5, 10.0), (0.95, 20.0)))

    found = plan_from(basis(), timed)

    drawing = latency_shares(found)
    assert "Measured one at a time: edge. Assumed lognormal" in drawing
    assert "as if requests came evenly, a CV² of 0" in drawing
    assert "share of the answers; edge measured, cloud assumed, hybrid assumed" in drawing
    assert len(points_of(drawing, "s1")) == 3
    (table,) = [one for one in plan_tables(found) if one.title == "Answers within"]
    assert table.header[1:] == (
        "edge, measured, CV² 0",
        *(f"{one}, assumed, CV² 0" for one in ("cloud", "hybrid")),
    )
    assert [row[:2] for row in table.rows if row[1] != "–"] == [
        ("50%", "10 ms"),
        ("95%", "20 ms"),
    ]


def test_latency_that_was_simulated_names_its_trace_and_how_its_requests_come() -> None:
    points = ((0.5, 15.0), (0.95, 40.0), (0.99, 400.0))
    replay = TraceReplay(
        trace="requests.csv",
        requests=8819,
        span_s=3600.0,
        per_s=2.45,
        gap_cv2=158.2,
        peak_ratio=None,
        input_tokens=10.0,
        output_tokens=1.0,
        options=(OptionReplay(option="edge", points=points),),
    )

    found = plan_from(basis(), replace(KNOWN, replay=replay))
    at_once = plan_from(basis(), replace(KNOWN, replay=replace(replay, per_s=None, gap_cv2=None)))

    drawing = latency_shares(found)
    assert "Simulated: 8,819 requests of requests.csv, whose gaps have a CV² of 158." in drawing
    assert "Assumed lognormal through p50 and p95: cloud, hybrid." in drawing
    assert len(points_of(drawing, "s1")) == 3
    table = next(one for one in plan_tables(found) if one.title == "Answers within")
    assert table.header[1:3] == ("edge, simulated, CV² 158", "cloud, assumed, CV² 0")
    assert table.caption.startswith("Simulated: 8,819 requests of requests.csv")
    assert "8,819 requests of requests.csv. Assumed" in latency_shares(at_once)
    other = next(one for one in plan_tables(at_once) if one.title == "Answers within")
    assert other.header[1] == "edge, simulated"


def test_a_latency_of_nothing_has_no_place_on_a_logarithmic_scale() -> None:
    instant = replace(KNOWN, latency_quantiles=((0.01, 0.0), (0.95, 20.0)))

    assert latency_shares(plan_from(basis(), instant)) == ""


def test_the_map_of_decisions_is_hatched_as_wide_as_the_share_that_is_deferred() -> None:
    drawing = draw_decisions([decided(), KEPT], 0.6)

    (width,) = re.findall(r'<rect [^>]*width="([0-9.]+)" [^>]*fill="url\(#deferred\)"', drawing)
    (axis,) = re.findall(r'class="axis" x1="([0-9.]+)" x2="([0-9.]+)"', drawing)
    assert float(width) == pytest.approx(0.25 * (float(axis[1]) - float(axis[0])), abs=0.1)
    for words in (
        "deferred 25.0%",
        "kept 75.0%",
        "threshold 0.6000",
        "The edge is right in 70.0% of the deferred ones.",
        "The edge is right in 95.0% of the kept ones.",
        "0.5000 to 0.6000: the edge is right in 70.0%, the cloud in 90.0%, deferred, 100 requests",
    ):
        assert words in drawing
    near, far = points_of(drawing, "s1"), points_of(drawing, "s2")
    # The cloud is higher where the edge is unsure, and lower where it is sure.
    assert far[0][1] < near[0][1]
    assert far[1][1] > near[1][1]


@pytest.mark.parametrize(
    ("bins", "said", "unsaid"),
    [
        ([decided(kept=True, cloud_right_share=None)], "kept 100.0%", "deferred"),
        ([decided()], "deferred 100.0%", "kept"),
        ([decided(n=1), KEPT], "deferred 0.3%", "deferred 100.0%"),
        ([decided(n=30_000), KEPT], "kept 1.0%", "kept 100.0%"),
    ],
)
def test_a_map_of_one_kind_or_almost_one_says_it(
    bins: list[DecisionBin], said: str, unsaid: str
) -> None:
    drawing = draw_decisions(bins, 0.6)

    heads = re.findall(r'<text class="note"[^>]*>([^<]*)</text>', drawing)
    assert said in heads
    assert not [one for one in heads if one.startswith(unsaid)]
    assert ('class="s2"' in drawing) == (bins[0].cloud_right_share is not None)


def test_a_plan_with_decisions_shows_them_as_a_map_and_a_table() -> None:
    found = plan_from(basis(), replace(KNOWN, decisions=(decided(), KEPT), threshold=0.6))

    page, (table,) = (
        render_plan(found),
        [one for one in plan_tables(found) if one.title == "Decisions by confidence"],
    )

    assert "<figcaption>Decisions by confidence</figcaption>" in page
    assert "threshold 0.6000" in page
    assert [row[3] for row in table.rows] == ["deferred", "kept"]
    assert table.rows[0] == ("0.5000 to 0.6000", "100", "25.0%", "deferred", "70.0%", "90.0%")
    assert draw_decisions((), None) == ""


def test_lines_are_told_apart_by_their_dashes_beside_their_names() -> None:
    for _, drawing in plan_charts(planned(UNSURE)):
        keys = re.findall(r'<line class="key (\w+)"', drawing)
        assert sorted(keys) == sorted(re.findall(r'<polyline class="(\w+)"', drawing))
        assert len(set(keys)) == len(keys)


def words_of(drawing: str) -> list[tuple[str, Box]]:
    """Give each text of a drawing with the room that it takes."""
    found = re.findall(
        r'<text class="([^"]*)" x="([0-9.-]+)" y="([0-9.-]+)" text-anchor="(\w+)">([^<]*)<', drawing
    )
    return [
        (html.unescape(words), Place(float(x), float(y), anchor).box(0.8 * width_of(words)))
        for _, x, y, anchor, words in found
    ]


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_names_of_dots_touch_neither_each_other_nor_another_dot(layout: Layout) -> None:
    dots = [Bubble(x=1.0, y=1.0, radius=4, note="", style="s1", name=name) for name in ("aa", "bb")]
    dots += [Bubble(x=1.3, y=1.2, radius=16, note="", style="s2", name="large")]
    dots += [Bubble(x=0.0, y=3.0, radius=4, note="", style="s1")]

    drawing = draw(
        Chart(title="t", description="d", x_label="x", y_label="y", lines=[], bubbles=dots), layout
    )

    boxes = [box for _, box in words_of(drawing)]
    assert {"aa", "bb", "large"} <= {words for words, _ in words_of(drawing)}
    assert not [pair for pair in combinations(boxes, 2) if pair[0].touches(pair[1])]
    for x, y, r in re.findall(r'r="([0-9.]+)" cx="([0-9.]+)" cy="([0-9.]+)"', drawing):
        radius, middle = float(x), (float(y), float(r))
        dot = Box(*(one - radius for one in middle), *(one + radius for one in middle))
        assert not [box for box in boxes if box.touches(dot)]


def test_a_dot_without_room_for_its_name_has_its_note_alone() -> None:
    long = "a name that is far too long for a plot of this width, however it is placed there"
    dot = Bubble(x=1.0, y=1.0, radius=4, note="its note", style="s1", name=long)

    drawing = draw(
        Chart(title="t", description="d", x_label="x", y_label="y", lines=[], bubbles=[dot])
    )

    assert "<title>its note</title>" in drawing
    assert long not in drawing


@pytest.mark.parametrize("layout", [WIDE, NARROW])
@pytest.mark.parametrize("asked", [1e4, 9e5, 1.1e6, 1e9])
def test_the_volume_of_this_workload_is_marked_beside_the_crossing(
    layout: Layout, asked: float
) -> None:
    found = planned()
    assert found.basis is not None
    workload = replace(found.basis.workload, requests_per_month=asked)
    crossed = replace(
        found, basis=replace(found.basis, workload=workload), break_even_requests_per_month=1e6
    )

    drawing = cost_by_volume(crossed, layout)

    assert drawing.count('class="mark"') == 2
    notes = [
        box for words, box in words_of(drawing) if words in ("this workload", "break-even 1 M")
    ]
    assert len(notes) == 2
    assert not notes[0].touches(notes[1])


def test_a_plot_is_laid_out_for_a_phone_too() -> None:
    pairs = dict(plan_plots(planned(UNSURE)))

    assert list(pairs) == list(dict(plan_charts(planned(UNSURE))))
    for drawing in pairs.values():
        wide, narrow = re.findall(r'<svg class="(\w+)" viewBox="0 0 (\d+) ', drawing)
        assert (wide, narrow) == (("wide", "560"), ("narrow", "280"))


def test_words_are_parted_where_they_may_be() -> None:
    assert wrapped("a b", 1000) == ["a b"]
    assert wrapped("workload.requests_per_month", 120) == ["workload.", "requests_per_", "month"]
    assert wrapped("share of the answers", 85) == ["share of the", "answers"]


def test_heights_are_moved_apart_within_their_ends() -> None:
    assert apart([100.0, 100.0, 20.0], 10, 100) == [85.0, 100.0, 20.0]
    assert apart([10.0, 12.0], 10, 100) == [10.0, 25.0]


@pytest.mark.parametrize(
    ("values", "log", "first"),
    [
        ((1e3, 1e9), True, [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]),
        ((3.0, 40.0), True, [5.0, 10.0, 20.0]),
        ((0.0, 10.0), False, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        ((7.0, 7.0), False, [6.6, 6.8, 7.0, 7.2, 7.4]),
    ],
)
def test_ticks_are_round_and_there_are_ever_fewer(
    values: tuple[float, float], log: bool, first: list[float]
) -> None:
    sets = list(Scale(values, (0, 300), log=log, pad=0).tick_sets())

    assert sets[0] == pytest.approx(first)
    assert sets[-1] == []


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [(1e20, 1e20 * (1 + 2e-16)), (1e20, 1e20), (7.0, 7.0)])
def test_what_differs_by_rounding_alone_lies_in_the_middle(
    values: tuple[float, float], log: bool
) -> None:
    scale = Scale(values, (0, 300), log=log, pad=0)

    assert [scale.at(value) for value in values] == pytest.approx([150, 150], abs=1)
    assert list(scale.tick_sets())[-1] == []


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


def test_columns_of_sentences_are_set_to_the_left_with_their_heads() -> None:
    wordy = Table(title="t", header=("a", "b"), rows=[("x" * 30, "no"), ("x", "word " * 9)])

    assert wordy.wordy == {1}
    assert Table(title="t", header=("a",), rows=[]).wordy == frozenset()
    assert '<th scope="col" class="words">meets the objective</th>' in render_plan(planned(UNSURE))


def test_a_page_shows_warnings_and_notes() -> None:
    found = replace(planned(), warnings=("two & two",))
    mean = Certainty(draws=100, seed=0, notes=("on average the edge is cheaper by 12 USD",))

    assert "On average the edge is cheaper by 12 USD." in render_plan(
        replace(found, certainty=mean)
    )
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
    ("value", "words"),
    [(12, "12"), (1234, "1.23 k"), (-2.5e6, "-2.5 M"), (3e9, "3 G"), (999_900, "1 M")],
)
def test_large_numbers_are_short(value: float, words: str) -> None:
    assert short(value) == words
