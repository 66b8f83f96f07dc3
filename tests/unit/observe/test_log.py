"""The decision log: what goes in comes out, once, or its absence is said."""

import dataclasses
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import InvalidRecord, SchemaMismatch, StorageError, UsageError
from edgewise.observe import DecisionLog
from edgewise.records import Attempt, Decision, Outcome, Reason, RequestFacts

COLUMNS = (
    "request_id, at_s, location, latency_ms, cost_usd, confidence, policy_version, "
    "certificate_state, error, reasons"
)


def decision(number: int = 0, **changes: Any) -> Decision:
    name = f"request-{number}"
    made = Decision(
        request_id=name,
        at_s=1_700_000_000.0 + number,
        policy_version="abc",
        facts=RequestFacts(request_id=name, input_length=8, input_bytes=40),
        allowed=("edge", "cloud"),
        reasons=(Reason.NEAREST_FIRST, Reason.CONFIDENT),
        attempts=(Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=2.5, confidence=0.9),),
        location="edge",
        latency_ms=2.75,
        cost_usd=0.0,
        confidence=0.9,
        certificate_state="certified",
    )
    return replace(made, **changes)


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    given_ones = [decision(3), decision(1), decision(2, location=None, confidence=None)]

    with DecisionLog(tmp_path / "log.sqlite") as log:
        for one in given_ones:
            log.append(one)

    assert list(log.read()) == given_ones
    assert log.count() == 3


def test_the_columns_can_be_queried_without_reading_json(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite") as log:
        log.append(decision(7, error="RemoteError"))

    assert rows(log.path, f"select {COLUMNS} from decisions") == [
        (
            "request-7",
            1_700_000_007.0,
            "edge",
            2.75,
            0.0,
            0.9,
            "abc",
            "certified",
            "RemoteError",
            "nearest_first,confident",
        )
    ]


def test_the_file_holds_the_fields_of_a_decision_and_nothing_else(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite") as log:
        log.append(decision())

    ((text,),) = rows(log.path, "select decision from decisions")
    names = {field.name for field in dataclasses.fields(Decision)}
    assert set(json.loads(text)) == {"schema_version", *names}


def test_flush_returns_when_all_is_on_disk_though_the_interval_is_long(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite", interval_s=60.0) as log:
        for number in range(5):
            log.append(decision(number))
        log.flush()

        assert log.count() == 5


def test_a_full_batch_is_written_before_the_interval_ends(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite", interval_s=3600.0, batch=4) as log:
        for number in range(4):
            log.append(decision(number))

        assert wait_for(lambda: log.count() == 4)


def test_a_steady_stream_does_not_put_off_writing(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite", interval_s=0.05, batch=1_000_000) as log:
        number = iter(range(1_000_000))

        def append_and_look() -> bool:
            log.append(decision(next(number)))
            return log.count() > 0

        assert wait_for(append_and_look)


def test_a_request_is_logged_once_and_the_first_stands(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite") as log:
        log.append(decision(1))
        log.append(decision(1, location="cloud"))
        log.append(decision(2))
        log.flush()
        log.append(decision(1, location="cloud"))

    assert [one.location for one in log.read()] == ["edge", "edge"]


def test_a_batch_of_any_size_is_written_in_order_and_once(tmp_path: Path) -> None:
    numbers = [*range(140), 3, 139, *range(140, 151)]
    with DecisionLog(tmp_path / "log.sqlite", interval_s=60.0) as log:
        for number in numbers:
            log.append(decision(number))

    assert [one.request_id for one in log.read()] == [f"request-{n}" for n in range(151)]


def test_threads_lose_nothing_and_a_second_opening_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.sqlite"

    def append(log: DecisionLog, first: int) -> None:
        for number in range(first, first + 100):
            log.append(decision(number))

    for half in (0, 400):
        with DecisionLog(path, batch=16) as log:
            threads = [
                threading.Thread(target=append, args=(log, half + 100 * k)) for k in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    assert log.count() == 800
    assert {one.request_id for one in log.read()} == {f"request-{n}" for n in range(800)}


def test_openers_of_a_new_file_that_meet_all_get_it(tmp_path: Path) -> None:
    for round_ in range(15):
        path, gate = tmp_path / f"{round_}.sqlite", threading.Barrier(4)

        def append(number: int, path: Path = path, gate: threading.Barrier = gate) -> None:
            gate.wait()
            with DecisionLog(path) as log:
                log.append(decision(number))

        threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        with DecisionLog(path) as log:
            assert log.count() == 4


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec=None), max_size=8), unique=True, max_size=20))
def test_any_text_can_be_an_id(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("log") / "log.sqlite"

    with DecisionLog(path) as log:
        for text in texts:
            log.append(decision(request_id=text))

    assert [one.request_id for one in log.read()] == texts


def test_closing_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log.sqlite")

    log.close()
    log.close()

    assert log.count() == 0


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log.sqlite")
    log.close()

    calls: tuple[Callable[[], None], ...] = (lambda: log.append(decision()), log.flush)
    for call in calls:
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.what == "the decision log is closed"
        assert caught.value.where == str(log.path)
        assert caught.value.hint == "close it last"


def test_a_number_that_is_not_finite_is_refused_at_once_and_harms_no_other(
    tmp_path: Path,
) -> None:
    with DecisionLog(tmp_path / "log.sqlite") as log:
        log.append(decision(1))
        with pytest.raises(InvalidRecord) as caught:
            log.append(decision(2, latency_ms=float("nan")))
        log.append(decision(3))

    assert caught.value.where == "Decision.latency_ms"
    assert [one.request_id for one in log.read()] == ["request-1", "request-3"]


def test_a_value_without_json_form_is_refused_with_advice(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite") as log, pytest.raises(InvalidRecord) as caught:
        log.append(decision(tags=(b"bytes",)))

    assert "no JSON form" in caught.value.what
    assert caught.value.where == "Decision"
    assert caught.value.hint == "give Python's own numbers"


@pytest.mark.parametrize("make", ["directory", "under a file", "not a database"])
def test_a_place_that_can_not_hold_a_log_is_said_at_opening(tmp_path: Path, make: str) -> None:
    path = tmp_path / "log.sqlite"
    if make == "directory":
        path.mkdir()
    elif make == "under a file":
        path.write_text("a file")
        path = path / "log.sqlite"
    else:
        path.write_text("this is prose, longer than a header of a database would be" * 20)

    with pytest.raises(StorageError) as caught:
        DecisionLog(path)

    assert caught.value.what.startswith("the decision log can't be written: ")
    assert caught.value.where == str(path)
    assert caught.value.hint == "free some space or choose another place"


def test_a_log_of_another_schema_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    with DecisionLog(path) as log:
        log.append(decision())
    rows(path, "pragma user_version = 99")

    with pytest.raises(SchemaMismatch) as caught:
        DecisionLog(path)

    assert caught.value.what == "schema version 99, and this edgewise writes 1"
    assert caught.value.where == str(path)
    assert "begin another file" in caught.value.hint


def break_table(path: Path) -> None:
    rows(path, "alter table decisions rename to away")


def mend_table(path: Path) -> None:
    rows(path, "alter table away rename to decisions")


def test_a_failed_write_is_said_and_made_good_once_the_file_works_again(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite", interval_s=0.01) as log:
        break_table(log.path)
        log.append(decision(1))

        with pytest.raises(StorageError) as caught:
            log.flush()
        with pytest.raises(StorageError):
            log.append(decision(2))
        mend_table(log.path)
        log.flush()
        log.append(decision(3))

    assert "(1 unwritten)" in caught.value.what
    assert caught.value.where == str(log.path)
    assert caught.value.hint == "free some space or choose another place"
    assert [one.request_id for one in log.read()] == ["request-1", "request-3"]


def test_closing_says_how_many_decisions_could_not_be_written(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log.sqlite", interval_s=60.0)
    break_table(log.path)
    log.append(decision(1))
    log.append(decision(2))

    with pytest.raises(StorageError) as caught:
        log.close()

    assert "(2 unwritten)" in caught.value.what


def append_to_a_broken_log(path: Path, end: Exception | None) -> None:
    with DecisionLog(path, interval_s=60.0) as log:
        break_table(path)
        log.append(decision())
        if end is not None:
            raise end


def test_a_failure_at_the_end_of_a_block_is_raised(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        append_to_a_broken_log(tmp_path / "log.sqlite", None)

    assert "(1 unwritten)" in caught.value.what


def test_a_failing_log_does_not_hide_the_error_of_the_block(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine") as caught:
        append_to_a_broken_log(tmp_path / "log.sqlite", KeyError("mine"))

    assert "(1 unwritten)" in caught.value.__notes__[0]


def test_an_unreadable_log_is_said(tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.sqlite") as log:
        break_table(log.path)

    for call in (log.count, lambda: list(log.read())):
        with pytest.raises(StorageError) as caught:
            call()
        assert caught.value.what == "the decision log can't be read: no such table: decisions"
        assert caught.value.where == str(log.path)
        assert caught.value.hint == "is it whole? keep a copy, begin anew"


def wait_for(holds: Callable[[], bool], *, tries: int = 20_000) -> bool:
    pause = threading.Event()
    for _ in range(tries):
        if holds():
            return True
        pause.wait(0.001)
    return False
