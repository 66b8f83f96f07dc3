"""Questions to a decision log: SQL over what was decided, and its Parquet form."""

import builtins
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from edgewise.cli.app import main
from edgewise.errors import InvalidRecord, MissingExtra, StorageError, UsageError
from edgewise.observe import DecisionLog
from edgewise.observe.query import LogQuery
from edgewise.records import Attempt, Decision, Outcome, Reason, RequestFacts, TokenUsage

NEAR = Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=2.0, confidence=0.5)
FAR = Attempt(tier="cloud", outcome=Outcome.TIMED_OUT, latency_ms=90.0, cost_usd=0.002, error="E")


def decision(number: int, *, private: bool = False, far: bool = False) -> Decision:
    name = f"request-{number}"
    return Decision(
        request_id=name,
        at_s=1_700_000_000.25 + number,
        policy_version="abc",
        facts=RequestFacts(request_id=name, input_length=8, input_bytes=40, private=private),
        allowed=("edge",) if private else ("edge", "cloud"),
        reasons=(Reason.NEAREST_FIRST, Reason.LOW_CONFIDENCE),
        attempts=(NEAR, FAR) if far else (NEAR,),
        location="edge",
        latency_ms=2.5 + number,
        cost_usd=0.002 if far else 0.0,
        confidence=0.5,
        certificate_state="certified",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "it's decisions.db"
    with DecisionLog(file) as log:
        for number in range(4):
            log.append(decision(number, private=number == 1, far=number == 3))
    return file


@pytest.fixture
def asked(path: Path) -> Iterator[LogQuery]:
    with LogQuery(path) as query:
        yield query


def test_a_decision_is_a_row(asked: LogQuery) -> None:
    found = asked.ask("select * from decisions where request_id = 'request-1'")

    row = dict(zip(found.columns, found.rows[0], strict=True))
    assert row["decided_at"] == "2023-11-14T22:13:21.250000"
    assert row["allowed"] == ["edge"]
    assert row["reasons"] == ["nearest_first", "low_confidence"]
    assert row["private"] is True
    assert row["attempts"][0]["tier"] == "edge"
    assert (row["input_length"], row["input_bytes"], row["latency_ms"]) == (8, 40, 3.5)


def test_an_attempt_is_a_row_with_its_number(asked: LogQuery) -> None:
    found = asked.ask(
        "select number, tier, outcome, latency_ms, cost_usd, error from attempts "
        "where request_id = 'request-3' order by number"
    )

    assert found.rows == (
        (1, "edge", "answered", 2.0, 0.0, ""),
        (2, "cloud", "timed_out", 90.0, 0.002, "E"),
    )


def test_tokens_and_what_was_hidden_are_columns(tmp_path: Path) -> None:
    usage = TokenUsage(input_tokens=90, cached_input_tokens=40, output_tokens=7, estimated=True)
    chat = replace(
        decision(0),
        attempts=(replace(FAR, usage=usage),),
        facts=RequestFacts(
            request_id="request-0",
            input_length=8,
            input_bytes=40,
            redacted=("email",),
            force_location="cloud",
        ),
    )
    with DecisionLog(tmp_path / "log.db") as log:
        log.append(chat)
        log.flush()
        with LogQuery(tmp_path / "log.db") as asked:
            hidden = asked.ask("select redacted, refused, force_location from decisions")
            tokens = asked.ask(
                "select input_tokens, cached_input_tokens, output_tokens, tokens_estimated "
                "from attempts"
            )

    assert hidden.rows == ((["email"], [], "cloud"),)
    assert tokens.rows == ((90, 40, 7, True),)


def test_rows_beyond_the_most_are_cut_and_said(asked: LogQuery) -> None:
    cut = asked.ask("select request_id from decisions order by decided_at", most=3)
    whole = asked.ask("select request_id from decisions order by decided_at", most=4)

    assert [row[0] for row in cut.rows] == ["request-0", "request-1", "request-2"]
    assert cut.cut
    assert not whole.cut


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/hostname')",
        "copy decisions to 'stolen.parquet'",
        "attach 'other.db'",
        "selec",
        "select nothing from decisions",
    ],
)
def test_wrong_sql_and_sql_that_reaches_for_files_is_refused(asked: LogQuery, sql: str) -> None:
    with pytest.raises(UsageError) as refused:
        asked.ask(sql)

    assert refused.value.where == "SQL"
    assert "describe decisions" in refused.value.hint


def test_now_is_in_utc_as_the_decisions_are(path: Path) -> None:
    sql = "select timestamptz '2026-01-01 00:00:00+00'"
    command = ["env", "TZ=Asia/Tokyo", sys.executable, "-m", "edgewise", "log", "query", str(path)]

    done = subprocess.run([*command, sql, "--json"], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["rows"] == [["2026-01-01T00:00:00+00:00"]]


def test_no_sql_gives_nothing(asked: LogQuery) -> None:
    assert asked.ask(" ; ").rows == ()


def test_a_query_leaves_a_log_that_is_written_on(path: Path) -> None:
    with DecisionLog(path) as log, LogQuery(path) as asked:
        log.append(decision(9))
        log.flush()
        asked.ask("delete from decisions")

        assert asked.ask("select count(*) from decisions").rows == ((0,),)
        assert log.count() == 5


def test_an_empty_log_has_its_tables(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.db"):
        pass

    with LogQuery(tmp_path / "log.db") as asked:
        assert asked.ask("select * from decisions, attempts").rows == ()


def test_parquet_holds_what_the_log_holds(asked: LogQuery, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "it's.parquet"

    count = asked.export(out)

    name = str(out).replace("'", "''")
    sql = f"select request_id, len(attempts) from '{name}' order by decided_at"
    rows = duckdb.execute(sql).fetchall()
    assert count == 4
    assert rows == [("request-0", 1), ("request-1", 1), ("request-2", 1), ("request-3", 2)]
    assert [one.name for one in out.parent.iterdir()] == [out.name]


def test_an_export_to_an_impossible_place_says_so(asked: LogQuery, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError) as failure:
        asked.export(tmp_path / "file" / "out.parquet")

    assert failure.value.where.endswith("out.parquet")
    assert "pick another place" in failure.value.hint


@pytest.mark.parametrize("text", [None, "no database", ""])
def test_what_is_no_log_is_said(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "log.db").write_text(text)

    with pytest.raises(StorageError) as failure:
        LogQuery(tmp_path / "log.db")

    assert failure.value.where.endswith("log.db")
    assert failure.value.hint


def test_a_broken_row_is_said(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update decisions set decision = '{half' where rowid = 2")

    with pytest.raises(InvalidRecord) as failure:
        LogQuery(path)

    assert failure.value.where == str(path)
    assert "keep a copy" in failure.value.hint


def test_without_duckdb_the_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *args: Any, **named: Any) -> Any:
        if name == "duckdb":
            raise ModuleNotFoundError(name=name)
        return whole(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra) as missing:
        LogQuery(path)

    assert missing.value.hint == 'pip install "edgewise[log]"'


def test_the_verb_prints_a_table_or_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "select location, count(*) as n, avg(latency_ms) as mean_ms, null as gone, ['a','b'] as "
    sql += "both from decisions group by location"

    assert main(["log", "query", str(path), sql]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert main(["log", "query", str(path), sql, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert shown[0].split() == ["location", "n", "mean_ms", "gone", "both"]
    assert shown[2].split() == ["edge", "4", "4", "a,", "b"]
    assert told == {
        "schema_version": 1,
        "columns": ["location", "n", "mean_ms", "gone", "both"],
        "rows": [["edge", 4, 4.0, None, ["a", "b"]]],
        "cut": False,
    }


def test_the_verb_has_a_word_for_what_is_no_number(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "select 1 / 0 as share, ['nan'::double] as many"

    assert main(["log", "query", str(path), sql, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["rows"] == [["inf", ["nan"]]]


def test_the_verb_says_that_rows_are_cut(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "query", str(path), "from decisions", "--most", "1"]) == 0

    assert "only the first rows are shown: 1" in capsys.readouterr().err


def test_the_verb_exports(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.parquet")

    assert main(["log", "export", str(path), out]) == 0
    shown = capsys.readouterr().out
    assert main(["log", "export", str(path), out, "--json"]) == 0

    assert shown == f"{out}: 4 decisions\n"
    assert json.loads(capsys.readouterr().out)["decisions"] == 4
