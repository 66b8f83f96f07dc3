"""What the gateway says of itself: its two forms, and what never stands in them."""

import io
import json
import os
from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec
from edgewise.gateway.events import EVERY_S, Events
from edgewise.records import Attempt, Decision, Outcome, RequestFacts
from edgewise.testing.route import FakeClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def decision(at_s: float, *attempts: Attempt) -> Decision:
    return Decision(
        request_id="r",
        at_s=at_s,
        policy_version="v",
        facts=RequestFacts(request_id="r", input_length=1, input_bytes=1),
        allowed=("cloud",),
        reasons=(),
        attempts=attempts,
        location=None,
        latency_ms=1.0,
        cost_usd=0.0,
    )


def failed(error: str, outcome: Outcome = Outcome.FAILED) -> Attempt:
    return Attempt(tier="cloud", outcome=outcome, latency_ms=1.0, error=error)


def test_an_event_is_one_line_of_json_that_says_when_and_who() -> None:
    out, clock = io.StringIO(), FakeClock()

    Events(out, clock=clock).say("reload", "words for people", before="a\nb", policy_version="c")

    [told] = lines(out)
    assert told == {
        "at": "2023-11-14T22:30:00.000+00:00",  # 1.7e9 s and 1000 s since 1970
        "level": "info",
        "event": "reload",
        "pid": os.getpid(),
        "before": "a\nb",
        "policy_version": "c",
    }


def test_a_terminal_gets_words_and_nothing_where_there_are_none() -> None:
    out = Terminal()
    events = Events(out)

    events.say("ready", address="http://here")
    events.say("reload", "policy a became b")

    assert out.getvalue() == "policy a became b\n"


@pytest.mark.parametrize(
    ("form", "out", "as_json"),
    [
        ("auto", io.StringIO(), True),
        ("auto", Terminal(), False),
        ("json", Terminal(), True),
        ("plain", io.StringIO(), False),
    ],
)
def test_the_form_is_the_settings_or_the_streams(
    form: str, out: io.StringIO, as_json: bool
) -> None:
    assert Events(out, form=form).as_json is as_json


def test_what_an_operator_asked_for_and_can_not_be_is_told_whole() -> None:
    out, words = io.StringIO(), Terminal()
    failure = InvalidSpec("unknown key `prot`", where="gateway.yaml:1:1", hint="take `port`")

    for stream in (out, words):
        Events(stream).refused("refused", "error", failure)

    [told] = lines(out)
    assert (told["level"], told["error"]) == ("error", "InvalidSpec")
    assert (told["what"], told["where"]) == ("unknown key `prot`", "gateway.yaml:1:1")
    assert told["hint"] == "take `port`"
    assert words.getvalue() == f"error: {failure}\n"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_fault_is_told_by_its_class_and_its_lines_never_by_its_text(
    stream: type[io.StringIO],
) -> None:
    out = stream()
    try:
        try:
            int("hunter2")
        except ValueError as wrong:
            raise KeyError("hunter3") from wrong
    except KeyError as failure:
        Events(out).broke(failure)

    said = out.getvalue()
    assert "KeyError" in said
    assert "ValueError" in said
    assert f"{Path(__file__).name}:" in said
    assert "hunter" not in said


def test_a_tiers_failures_are_told_at_once_and_then_counted() -> None:
    out = io.StringIO()
    events = Events(out)

    for second in range(12):
        events.see(decision(float(second), failed("RemoteError")))
    events.see(decision(12.0, failed("", Outcome.TIMED_OUT)))
    events.see(decision(13.0, Attempt(tier="cloud", outcome=Outcome.ANSWERED, latency_ms=1.0)))
    events.flush()
    events.flush()

    told = [(one["outcome"], one["error"], one["count"]) for one in lines(out)]
    assert EVERY_S == 10.0
    assert told == [
        ("failed", "RemoteError", 1),
        ("failed", "RemoteError", 10),
        ("timed_out", "", 1),
        ("failed", "RemoteError", 1),
    ]
    assert {one["level"] for one in lines(out)} == {"warning"}


def test_failures_are_told_after_a_clock_was_set_back() -> None:
    out = io.StringIO()
    events = Events(out)

    for second in (9000.0, 20.0, 21.0, 30.0):
        events.see(decision(second, failed("RemoteError")))

    assert [one["count"] for one in lines(out)] == [1, 1, 2]


def test_an_input_that_can_not_be_read_is_no_tiers_failure() -> None:
    out = io.StringIO()
    events = Events(out)

    events.see(decision(0.0, failed("InvalidData"), failed("RemoteError")))

    assert [one["error"] for one in lines(out)] == ["RemoteError"]


def test_at_a_terminal_a_tiers_failure_is_a_sentence() -> None:
    out = Terminal()
    events = Events(out)

    events.see(decision(0.0, failed("RemoteError"), failed("", Outcome.TIMED_OUT)))

    assert out.getvalue() == (
        "tier cloud failed once: RemoteError\ntier cloud timed out once: no answer\n"
    )


def test_a_stream_that_takes_nothing_harms_nobody() -> None:
    out = io.StringIO()
    out.close()
    events = Events(io.StringIO())
    events._out = out

    events.say("ready")
