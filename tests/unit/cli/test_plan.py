"""`edgewise plan` and `edgewise prices`: what they print, write and refuse."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgewise.cli import main
from edgewise.observe import DecisionLog
from edgewise.records import Attempt, Decision, Origin, Outcome, Plan, RequestFacts, decode

SPEC = """name: shop
task: text-classification
model: {source: m.onnx}
data: {train: a.csv, calibration: b.csv, test: c.csv}
tiers: {cloud: {usd_per_request: {p5: 0.001, p95: 0.004}}}
objective: {latency_p95_ms: 200}
workload: {requests_per_month: 1_000_000, devices: 100, device_usd: {low: 40, mode: 48, high: 60}}
costs:
  assume: {p50_ms: 10, p95_ms: 20, deferral_share: 0.25, edge_quality_loss: 0.1,
           hybrid_quality_loss: 0.01}
"""
TABLE = "# source: a shop\n# date: 2026-11-01\n# licence: mine\nitem,measure,value\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "edgewise.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:  # type: ignore[type-arg]
    assert main([*arguments, "--json"]) == 0
    found: dict = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]
    return found


def test_a_project_file_is_planned_by_what_it_assumes(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = as_json(capsys, "plan", str(spec))

    plan = decode(Plan, found)
    assert plan.choice == "hybrid"
    assert plan.monthly_usd.hybrid == pytest.approx(700)
    assert plan.certainty is not None
    assert plan.certainty.draws == 10_000
    origins = {one.name: (one.origin, one.source) for one in plan.figures}
    assert origins["requests"] == (Origin.GIVEN, "workload")
    assert origins["cloud round trip p95"] == (Origin.ASSUMED, "the default")


CHATS = """name: assistant
task: text-generation
tiers:
  edge: {kind: site, memory: 16GiB}
  cloud: {usd_per_input_token: 2.0e-6, usd_per_output_token: 8.0e-6}
objective: {latency_p95_ms: 4000}
workload: {requests_per_month: 1_000_000, devices: 10, device_usd: 2400, horizon_months: 24}
costs:
  cloud: {input_tokens: 900, output_tokens: 150}
  assume: {p50_ms: 900, p95_ms: 2200, peak_memory: 6GiB, deferral_share: 0.25,
           edge_quality_loss: 0.1, hybrid_quality_loss: 0.01}
"""


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    path = tmp_path / "edgewise.yaml"
    path.write_text(CHATS, encoding="utf-8")
    return path


def test_a_project_for_text_generation_is_planned_by_the_price_of_its_tokens(
    chats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = decode(Plan, as_json(capsys, "plan", str(chats)))

    # 900 tokens in and 150 out are 0.003 USD; ten machines over two years are 1,000 USD a month.
    assert plan.monthly_usd.cloud == pytest.approx(3000)
    assert plan.monthly_usd.edge == pytest.approx(1000)
    assert plan.monthly_usd.hybrid == pytest.approx(1000 + 0.25 * 3000)
    assert plan.choice == "hybrid"
    assert plan.warnings == ()
    assert plan.basis is not None
    assert plan.basis.name == "assistant"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text", "hybrid  1,750 USD"),
        ("md", "| hybrid | 1,750 USD"),
        ("html", "<title>assistant – Edgewise plan</title>"),
        ("focus", "tokens"),
    ],
)
def test_a_project_for_text_generation_is_told_in_every_format(
    chats: Path, capsys: pytest.CaptureFixture[str], kind: str, words: str
) -> None:
    month = ("--month", "2026-11") if kind == "focus" else ()
    assert main(["plan", str(chats), "--format", kind, *month]) == 0

    assert words in capsys.readouterr().out


def test_a_project_for_text_generation_has_its_trace_replayed(
    chats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["t_s,input_tokens,output_tokens", *(f"{at * 3.0},900,150" for at in range(50))]
    (chats.parent / "asked.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = CHATS.replace("devices: 10,", "devices: 10, trace: asked.csv,")
    chats.write_text(text.replace("16GiB}", "16GiB, servers: 10}"), encoding="utf-8")

    plan = decode(Plan, as_json(capsys, "plan", str(chats)))

    assert plan.replay is not None
    assert (plan.replay.trace, plan.replay.requests) == ("asked.csv", 50)
    assert {one.origin for one in plan.latency} == {"simulated"}


def test_a_project_for_text_generation_is_not_built(
    chats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(chats), "--out", str(chats.parent / "run")]) == 1

    said = capsys.readouterr().err
    assert "a project for text generation has nothing to build" in said
    assert f"{chats}:2:7" in said
    assert not (chats.parent / "run").exists()


def test_the_trace_of_the_workload_is_replayed(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 200 requests at once to 100 devices: half of them wait for a whole answer.
    rows = "".join(f"{minute * 60},1,1\n" * 200 for minute in range(20))
    (spec.parent / "r.csv").write_text(f"t_s,input_tokens,output_tokens\n{rows}")
    spec.write_text(SPEC.replace("workload: {", "workload: {trace: r.csv, "), encoding="utf-8")

    found = decode(Plan, as_json(capsys, "plan", str(spec)))
    assert main(["plan", str(spec)]) == 0
    shown = capsys.readouterr().out

    assert [one.origin for one in found.latency] == ["simulated"] * 3
    edge = dict(found.latency[0].points)
    assert found.options[0].latency_p95_ms == edge[0.95] > 25
    assert "gaps between requests, CV²" in [one.name for one in found.figures]
    assert "latency      edge, cloud, hybrid simulated: 4,000 requests of r.csv, gaps" in shown
    assert "check: latencies are those of r.csv, with 3.51 requests a second" in shown


def test_a_trace_with_a_hole_is_warned_of(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{at_s},1,1\n" for at_s in (*range(300), 9000))
    (spec.parent / "r.csv").write_text(f"t_s,input_tokens,output_tokens\n{rows}")
    spec.write_text(SPEC.replace("workload: {", "workload: {trace: r.csv, "), encoding="utf-8")

    found = as_json(capsys, "plan", str(spec))

    assert "r.csv: no request came for 8701 s once: is the trace whole?" in found["warnings"]


def test_a_trace_that_is_not_there_is_told(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(SPEC.replace("workload: {", "workload: {trace: r.csv, "), encoding="utf-8")

    assert main(["plan", str(spec)]) == 1

    said = capsys.readouterr().err
    assert "r.csv: can't be read: No such file or directory" in said
    assert "hint: give a CSV file with the columns t_s, input_tokens, output_tokens" in said


def test_a_payback_after_the_horizon_says_so(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC.replace("devices: 100,", "devices: 100, horizon_months: 3,"), "utf-8")

    assert main(["plan", str(spec)]) in (0, 3)
    shown = capsys.readouterr().out
    assert main(["plan", str(spec), "--format", "md"]) in (0, 3)
    page = capsys.readouterr().out

    assert "pays back    in 3.2 months, after the horizon of 3" in shown
    assert "3.2, after the horizon of 3" in page


def test_the_same_seed_prints_the_same_bytes(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for seed in ("3", "3", "4"):
        assert main(["plan", str(spec), "--json", "--seed", seed, "--draws", "500"]) == 0
        printed.append(capsys.readouterr().out)

    assert printed[0] == printed[1] != printed[2]


def test_people_read_options_flips_and_what_matters(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(spec)]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("Run hybrid: at 1,000,000 requests a month it costs 700 USD a month")
    for words in (
        "no: quality binds",
        "break-even   hybrid from 133,333 requests a month on",
        "flips        hybrid is cheaper than cloud up to 750 devices",
        "flips        hybrid is cheaper than cloud up to 360 USD a device",
        "pays back    in 3.2 months",
        "certainty    hybrid is cheapest in",
        "matters      tiers.cloud.usd_per_request",
    ):
        assert words in shown


def test_a_fleet_of_less_than_one_device_is_not_rounded_to_none(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC.replace("1_000_000", "100"))

    assert main(["plan", str(spec)]) == 0
    assert "hybrid is cheaper than cloud up to 0.075 devices" in capsys.readouterr().out
    assert main(["plan", str(spec), "--format", "md"]) == 0
    shown = capsys.readouterr().out
    assert "| devices | 0.075 |" in shown
    assert "| requests a month | 133,333 |" in shown


def test_people_read_why_there_is_no_crossing(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(
        SPEC.replace("{p5: 0.001, p95: 0.004}", "1e-9").replace(
            "costs:\n", "costs:\n  edge: {joules_per_request: 5}\n"
        )
    )

    assert main(["plan", str(spec)]) == 0

    shown = capsys.readouterr().out
    assert "check: tiers.cloud.usd_per_request: 1e-09 USD looks like the price of a token" in shown
    assert "break-even   never: one more request costs" in shown
    assert "             own answers cost" in shown


def test_a_plan_without_a_cloud_or_numbers_to_draw_is_short(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SPEC.replace("tiers: {cloud: {usd_per_request: {p5: 0.001, p95: 0.004}}}\n", "")
    text = text.replace("{low: 40, mode: 48, high: 60}", "48")
    spec.write_text(text.replace("p50_ms: 10, p95_ms: 20, ", "").replace(" 0.1,", " 0.01,"))

    assert main(["plan", str(spec)]) == 0

    shown = capsys.readouterr().out
    assert "certainty    every number is taken as exact" in shown
    assert "check: the edge's latency is neither measured nor assumed" in shown
    assert "break-even" not in shown


def test_a_plan_that_meets_nothing_exits_with_3(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC.replace("latency_p95_ms: 200", "latency_p95_ms: 1"))

    assert main(["plan", str(spec)]) == 3
    assert "Nothing meets the objective" in capsys.readouterr().out


def test_a_plan_is_a_page_that_opens_offline(spec: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.html"

    assert main(["plan", str(spec), "--format", "html", "--out", str(out)]) == 0

    page = out.read_text("utf-8")
    assert len(page) < 3_000_000
    for title in ("Cost by volume", "Cost over time", "What moves the choice", "Trade-offs"):
        assert f"<figcaption>{title}</figcaption>" in page
    assert "prefers-color-scheme: dark" in page
    assert "option,cheapest,p5,median,p95,mean regret" in page
    assert "http://" not in page
    assert "https://" not in page.replace("https://github.com", "")


def test_json_is_printed_beside_a_file(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.md"

    found = as_json(capsys, "plan", str(spec), "--format", "md", "--out", str(out))

    assert out.read_text("utf-8").startswith(f"# {found['recommendation']}")


def test_a_plan_without_traffic_is_a_plan_and_says_so(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write_text(SPEC.replace("1_000_000", "0"), encoding="utf-8")
    out = tmp_path / "plan.html"

    found = as_json(capsys, "plan", str(spec))

    assert found["monthly_usd"]["cloud"] == 0
    assert found["choice"] == "cloud"
    assert "there are no requests: workload.requests_per_month is 0" in found["warnings"]
    assert main(["plan", str(spec), "--format", "html", "--out", str(out)]) == 0
    assert "nan" not in out.read_text("utf-8")


def test_a_plan_is_markdown_too(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(spec), "--format", "md"]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("# Run hybrid")
    assert "| hybrid | 700 USD | " in shown
    assert "## Figures" in shown


def test_a_plan_is_focus_rows_of_a_month(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(spec), "--format", "focus", "--month", "2026-11"]) == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert sum(float(row["EffectiveCost"]) for row in rows) == pytest.approx(700)
    assert {row["BillingPeriodStart"] for row in rows} == {"2026-11-01T00:00:00Z"}
    assert main(["plan", str(spec), "--format", "focus"]) == 0
    now = datetime.now(UTC).strftime("%Y-")
    assert now in capsys.readouterr().out or datetime.now(UTC).month == 1


def test_a_ledger_is_focus_rows_of_what_was_decided(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "decisions.sqlite"
    decision = Decision(
        request_id="a",
        at_s=datetime(2026, 11, 3, tzinfo=UTC).timestamp(),
        policy_version="1",
        facts=RequestFacts(request_id="a", input_length=1, input_bytes=1),
        allowed=("edge", "cloud"),
        reasons=(),
        attempts=(Attempt(tier="cloud", outcome=Outcome.ANSWERED, latency_ms=1.0, cost_usd=0.25),),
        location="cloud",
        latency_ms=1.0,
        cost_usd=0.25,
    )
    with DecisionLog(path) as log:
        log.append(decision)
        log.append(replace(decision, request_id="b"))
        log.append(replace(decision, request_id="c", at_s=decision.at_s + 40 * 86_400))

    arguments = ["plan", str(spec), "--format", "focus", "--ledger", str(path)]
    assert main(arguments) == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    called = [row for row in rows if row["ResourceId"] == "cloud"]
    assert [(row["BilledCost"], row["ConsumedQuantity"]) for row in called] == [
        ("0.5", "2"),
        ("0.25", "1"),
    ]

    assert main([*arguments, "--month", "2026-12"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["BillingPeriodStart"] for row in rows} == {"2026-12-01T00:00:00Z"}
    assert [row["BilledCost"] for row in rows if row["ResourceId"] == "cloud"] == ["0.25"]


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--draws", "7"], 2, "draws: not a number of draws: 7"),
        (["--seed", "-1"], 2, "--seed: not a seed: -1"),
        (["--format", "pdf"], 2, "--format pdf: a PDF needs a file"),
        (["--out", "plan.txt"], 2, "--out: words and JSON go to stdout"),
        (["--month", "11/26"], 2, "--month: not a month: 11/26"),
        (["--month", "9999-12"], 2, "--month: not a month: 9999-12"),
        (["--month", "0026-11"], 2, "--month: not a month: 0026-11"),
        (["--month", "2026-11"], 2, "--month: a month is of FOCUS rows only"),
        (["--format", "html", "--json"], 2, "--format html: it needs a file beside JSON"),
        (
            ["--format", "focus", "--ledger", "log", "--json"],
            2,
            "--format focus: it needs a file beside JSON",
        ),
        (["--ledger", "log"], 2, "--ledger: a ledger has FOCUS rows only"),
        (["--ledger", "log", "--format", "focus"], 1, "log: no such decision log"),
    ],
)
def test_what_can_not_be_is_refused(
    spec: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    what: str,
) -> None:
    assert main(["plan", str(spec), *arguments]) == code

    said = capsys.readouterr().err
    assert what in said
    assert "hint: " in said


def test_tables_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--project", str(tmp_path))

    listed = as_json(capsys, "prices", "list", *here)["tables"]
    shown = as_json(capsys, "prices", "show", "raspberry", *here)["rows"]

    assert [one["name"] for one in listed] == [
        "aws",
        "azure",
        "carbon",
        "devices",
        "gcp",
        "tokens",
    ]
    assert [one["value"] for one in shown] == [35, 60, 80]
    assert main(["prices", "list", *here]) == 0
    assert "MIT" in capsys.readouterr().out
    assert main(["prices", "show", "devices", *here]) == 0
    assert "jetson-orin-nano-super-kit" in capsys.readouterr().out


def test_a_table_of_ones_own_is_kept_and_goes_first(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "mine.csv"
    own.write_text(TABLE + "raspberry-pi-5-8gb,usd_per_device,12\n", encoding="utf-8")
    here = ("--project", str(tmp_path))

    assert main(["prices", "import", str(own), *here]) == 0
    assert "mine: 1 prices of 2026-11-01 kept in" in capsys.readouterr().out
    again = as_json(capsys, "prices", "import", str(own), *here)
    text = SPEC.replace(", device_usd: {low: 40, mode: 48, high: 60}", "")
    spec.write_text(
        text.replace("costs:\n", "costs:\n  edge: {device: raspberry-pi-5-8gb}\n"),
        encoding="utf-8",
    )
    plan = decode(Plan, as_json(capsys, "plan", str(spec)))

    assert (again["name"], again["rows"]) == ("mine", 1)
    assert plan.basis is not None
    assert plan.basis.workload.device_usd == 12
    assert {one.name: one.source for one in plan.figures}["device price"].startswith(
        "raspberry-pi-5-8gb in table mine of 2026-11-01"
    )


def test_a_table_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent, broken = tmp_path / "absent.csv", tmp_path / "broken.csv"
    broken.write_bytes(b"\xff\xfe\x00")

    for verb in (("list",), ("show", "devices"), ("import", str(broken))):
        assert main(["prices", *verb, "--project", str(tmp_path / "typo")]) == 1
        assert f"{tmp_path / 'typo'}: no such folder" in capsys.readouterr().err
    assert main(["prices", "import", str(absent)]) == 1
    assert "can't be read: No such file" in capsys.readouterr().err
    assert main(["prices", "import", str(broken)]) == 1
    assert "can't be read: not UTF-8" in capsys.readouterr().err
    assert main(["prices", "show", "nothing", "--project", str(tmp_path)]) == 1
    assert "no table and no item has `nothing` in its name" in capsys.readouterr().err
