"""What the dashboard shows of a state, by itself: curves, tables, words."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pages import POLICY, read

from edgewise.gateway.counting import Counting
from edgewise.gateway.pages.history import BUCKET_S, History, percentile
from edgewise.gateway.pages.markup import element, tiles
from edgewise.gateway.pages.sections import news, sections
from edgewise.gateway.pages.state import certificate_state, drift_state
from edgewise.gateway.pages.words import LOSSES, WORDS
from edgewise.records import (
    Attempt,
    AuditState,
    Certificate,
    CertificateState,
    Decision,
    DriftRules,
    Histogram,
    Loss,
    Outcome,
    PreRouteRules,
    Reason,
    RequestFacts,
)


def decided(at_s: float, *, location: str | None = "edge") -> Decision:
    facts = RequestFacts(request_id=str(at_s), input_length=1, input_bytes=1)
    return Decision(
        request_id=str(at_s),
        at_s=at_s,
        policy_version="p",
        facts=facts,
        allowed=("edge", "cloud"),
        reasons=(Reason.CONFIDENT,),
        attempts=(),
        location=location,
        latency_ms=1.0,
        cost_usd=0.0,
    )


def shown(history: History, now_s: float | None = None, **more: Any) -> dict[str, Any]:
    newest_s = max((one.start_s for one in history.buckets), default=0)
    now_s = newest_s if now_s is None else now_s
    traffic = {
        "decisions": history.decisions,
        "failed": history.failed,
        "locations": dict(history.locations),
        "reasons": dict(history.reasons),
        "bucket_s": BUCKET_S,
        "over_time": history.over_time(now_s),
    }
    money = dict.fromkeys(("spent_usd", "always_cloud_usd", "saved_usd", "kept_near"), 0)
    state = {
        "at_s": 0.0, "model": "m", "ready": True, "draining": False, "in_flight": 0,
        "refused": 0, "policy_version": "p", "traffic": traffic, "tiers": [], "money": money,
        "budget": None, "certificate": None, "rollout": None, "latest": [], "drift": None,
        "processes": 1,
    }  # fmt: skip
    return {**state, **more}


CERTIFICATE = {
    "state": "certified", "loss": "net", "alpha": 0.02, "delta": 0.05, "n": 900, "bound": 0.01,
    "threshold": 0.8, "e_value": None, "void_from": None,
}  # fmt: skip


def test_curves_follow_the_last_quarter_of_an_hour() -> None:
    history = History(lambda: POLICY)
    for second in range(0, 2000, 2):
        history.see(decided(float(second), location="edge" if second % 4 else None))

    assert len(history.buckets) == 90
    assert history.failed == 500
    html = sections(shown(history))["traffic"]
    assert html.count("<polyline") == 2 * 2  # each plot is laid out wide and narrow
    read(html)


def test_money_is_counted_whether_always_cloud_could_have_answered_or_not() -> None:
    history = History(lambda: POLICY)
    free = replace(decided(1.0), cost_usd=0.002)
    history.see(free)
    history.see(replace(decided(2.0), cost_usd=0.5, allowed=("edge",)))

    whole = history.whole([history.state()])

    assert (history.spent_usd, history.compared_usd, history.kept_near) == (0.502, 0.002, 1)
    assert (whole.spent_usd, whole.compared_usd, whole.kept_near) == (1.004, 0.004, 2)


def test_a_curve_falls_to_nothing_while_nobody_asks() -> None:
    history = History(lambda: POLICY, lambda: 4.0)
    for second in (5.0, 6.0, 45.0):
        history.see(decided(second))

    told = history.over_time(72.0)

    assert [one["at_s"] for one in told] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert [one["locations"].get("edge", 0) for one in told] == [2, 0, 0, 0, 1, 0, 0, 0]
    assert {one["e_value"] for one in told} == {4.0}
    assert (
        "In the last whole ten seconds, a second: edge 0"
        in sections(shown(history, 72.0))["traffic"]
    )


def test_the_ten_seconds_that_are_not_over_are_no_rate_yet() -> None:
    history = History(lambda: POLICY)
    for tenth in range(0, 310):
        history.see(decided(tenth / 10))

    steady = sections(shown(history, 31.0))["traffic"]
    early = sections(shown(history, 19.0))["traffic"]

    assert "a second: edge 10" in steady
    assert "a second: edge 1<" not in steady
    assert "A curve is here after 30 seconds with requests." in early


def test_an_input_that_can_not_be_read_is_no_failure_of_the_tier() -> None:
    history = History(lambda: POLICY)
    for error in ("InvalidData", "RemoteError"):
        attempt = Attempt(tier="edge", outcome=Outcome.FAILED, latency_ms=1.0, error=error)
        history.see(replace(decided(1.0, location=None), attempts=(attempt,)))

    calls = history.calls_of("edge")

    assert (calls.number, calls.failed, history.failed) == (2, 1, 2)


def test_what_is_older_than_a_quarter_of_an_hour_is_in_no_curve() -> None:
    history = History(lambda: POLICY, lambda: 4.0)
    history.see(decided(5.0))
    history.see(decided(5000.0))

    told = history.over_time(5001.0)
    late = history.over_time(9000.0)

    assert (len(told), told[0]["at_s"], told[-1]["locations"]) == (90, 4110, {"edge": 1})
    assert {tuple(one["locations"]) for one in late} == {()}
    assert late[-1]["e_value"] == 4.0
    assert history.over_time(0.0)[0]["at_s"] == 0
    assert History(lambda: POLICY).over_time(7.0) == []


def test_curves_go_on_after_a_clock_was_set_back() -> None:
    history = History(lambda: POLICY)
    for second in (90.0, 9000.0, 100.0, 115.0):
        history.see(decided(second))

    told = history.over_time(116.0)

    assert [one["locations"].get("edge", 0) for one in told] == [1, 1, 1]


def test_a_decision_that_ended_late_counts_in_the_newest_moment() -> None:
    history = History(lambda: POLICY)
    for second in (25.0, 3.0):
        history.see(decided(second))

    assert [one.start_s for one in history.buckets] == [20]
    assert history.buckets[0].locations["edge"] == 2


def test_the_evidence_against_a_certificate_has_its_curve() -> None:
    values = iter((1.0, 4.0, 25.0))
    history = History(lambda: POLICY, lambda: next(values))
    for second in (1.0, 11.0, 21.0):
        history.see(decided(second))
    one = {**CERTIFICATE, "state": "void", "e_value": 25.0, "void_from": 20.0}

    html = sections(shown(history, certificate=one))["certificate"]

    assert html.count("<polyline") == 2 * 2  # each plot is laid out wide and narrow
    assert 'class="mark"' in html
    assert "<dt>Evidence against it</dt><dd>25</dd>" in html
    assert "<dt>Void from</dt><dd>20</dd>" in html
    read(html)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "No audit watches it"),
        ({"e_value": 1.0, "void_from": 20.0}, "A curve is here after 20 seconds"),
        ({"bound": None, "threshold": None}, "No audit watches it"),
    ],
)
def test_a_certificate_without_a_curve_says_why(more: dict[str, Any], said: str) -> None:
    one = {**CERTIFICATE, **more}

    assert said in sections(shown(History(lambda: POLICY), certificate=one))["certificate"]


def test_an_audit_that_refutes_a_certificate_makes_it_void_here_too() -> None:
    promised = Certificate(
        state=CertificateState.CERTIFIED,
        loss=Loss.NET,
        alpha=0.02,
        delta=0.05,
        n=900,
        threshold=0.6,
        deferral_rate=0.2,
        bound=0.01,
    )
    policy = replace(POLICY, certificate=promised)

    calm = certificate_state(policy, AuditState(e_value=3.0, void_from=20.0))
    refuted = certificate_state(policy, AuditState(e_value=25.0, void_from=20.0, void=True))
    alone = certificate_state(policy, None)

    assert calm is not None
    assert refuted is not None
    assert alone is not None
    assert (calm["state"], calm["e_value"], calm["void_from"]) == ("certified", 3.0, 20.0)
    assert refuted["state"] == "void"
    assert alone["e_value"] is None


WATCHED = DriftRules(
    window=200,
    reference=tuple(
        Histogram(name=name, edges=(1.0,), counts=(1, 1))
        for name in ("length", "language", "confidence", "embedding_0")
    ),
)


def test_each_thing_watched_of_the_inputs_has_its_state() -> None:
    counting = Counting()
    counting.compared("length", 0.01, differs=False)
    counting.compared("language", 0.8125, differs=True)

    state = drift_state(replace(POLICY, drift=WATCHED), counting.inputs([]))
    html = sections(shown(History(lambda: POLICY), drift=state))["drift"]

    read(html)
    assert "200 requests at a time" in html
    assert html.count("<tr>") == 5
    rows = html.split("<tr>")[2:]
    assert [row.split("</th>")[0].rpartition(">")[2] for row in rows] == [
        "length of the input",
        "language",
        "score: the confidence of the nearest tier",
        "embedding, along direction 0: what the nearest tier&#x27;s model makes of it",
    ]
    said = ("as before", "differs", "no window yet", "no window yet")
    assert all(words in row for words, row in zip(said, rows, strict=True))
    assert ("0.010" in rows[0], "0.812" in rows[1], "–" in rows[2]) == (True, True, True)
    assert 'tabindex="0"' in html


def test_without_a_reference_nothing_of_the_inputs_is_watched() -> None:
    history = History(lambda: POLICY)

    assert drift_state(POLICY, {}) is None
    assert "nothing that inputs could be compared with" in sections(shown(history))["drift"]


def test_what_a_chosen_part_tells_is_not_shown_as_watched() -> None:
    policy = replace(POLICY, drift=WATCHED, preroute=PreRouteRules(min_gain=0.1))

    state = drift_state(policy, {})

    assert state is not None
    assert [one["name"] for one in state["watched"]] == ["length", "language"]


def test_inputs_differ_where_they_do_in_any_process() -> None:
    here, there = Counting(), Counting()
    here.compared("length", 0.9, differs=False)
    there.compared("length", 0.4, differs=True)
    there.compared("language", 0.1, differs=False)

    found = here.inputs([there.metrics.state()])
    whole = here.metrics.whole([there.metrics.state()]).text()

    assert found == {"length": (0.9, True), "language": (0.1, False)}
    assert 'edgewise_input_drift{what="length"} 1\n' in whole
    assert 'edgewise_input_drift_distance{what="length"} 0.9\n' in whole


def test_news_say_which_inputs_differ() -> None:
    told = {"name": "length", "distance": 0.5, "differs": True}
    other = {"name": "language", "distance": 0.5, "differs": False}
    state = shown(History(lambda: POLICY), drift={"window": 9, "watched": [told, other]})

    assert news(state) == "Requests are welcome. Inputs differ: length of the input."


def test_of_several_processes_it_is_said_that_circuits_are_of_one() -> None:
    history = History(lambda: POLICY)

    assert "in one of 3 processes" in sections(shown(history, processes=3))["tiers"]
    assert "processes" not in sections(shown(history))["tiers"]


def test_shadow_and_canary_are_shown_side_by_side() -> None:
    shadow = {
        "policy_version": "q", "compared": 7, "changed": 2,
        "changes": [{"from": "edge", "to": "cloud", "requests": 2}],
        "cost_usd": {"in_service": 0.1, "shadow": 0.2},
    }  # fmt: skip
    canary = {
        "share": 0.05, "requests": 9, "failures": 3, "taken_back": True,
        "control": {"requests": 90, "failures": 1},
    }  # fmt: skip
    rollout = {"shadow": shadow, "canary": canary}

    html = sections(shown(History(lambda: POLICY), rollout=rollout))["rollout"]

    assert "Would differ" in html
    assert "Canary at a share of 5%, taken back" in html
    nothing = sections(shown(History(lambda: POLICY), rollout={"shadow": None, "canary": None}))[
        "rollout"
    ]
    assert "No policy decides in the shadow" in nothing


def test_news_say_what_is_out() -> None:
    out = {"name": "cloud", "circuit": "open", "ready": True}
    void = {**CERTIFICATE, "state": "void"}
    history = History(lambda: POLICY)

    assert news(shown(history, draining=True)) == "The gateway is stopping."
    assert news(shown(history, tiers=[out], ready=False, certificate=void)) == (
        "No tier can be asked. Left alone: cloud. The certificate is void."
    )


def test_every_reason_and_every_loss_has_words() -> None:
    assert set(WORDS) == set(Reason)
    assert set(LOSSES) == set(Loss)


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0


def test_what_several_processes_remember_is_what_one_would_that_saw_it_all() -> None:
    policy = POLICY
    one, parts = History(lambda: policy), [History(lambda: policy) for _ in range(3)]
    for second in range(0, 400, 3):
        decision = replace(
            decided(float(second), location="edge" if second % 4 else None),
            cost_usd=0.25,
            attempts=(
                Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=float(second)),
                Attempt(tier="cloud", outcome=Outcome.FAILED, latency_ms=1.0),
            ),
        )
        for history in (one, parts[second % 3 if second % 2 else 0]):
            history.see(decision)

    whole = parts[0].whole(json.loads(json.dumps(part.state())) for part in parts[1:])

    assert whole.state()["calls"]["cloud"] == one.state()["calls"]["cloud"]
    assert sorted(whole.calls["edge"].latencies_ms) == sorted(one.calls["edge"].latencies_ms)
    for name in ("sums", "locations", "reasons", "buckets"):
        assert whole.state()[name] == one.state()[name]
    assert parts[0].whole([]) is parts[0]


def test_a_tiles_name_of_several_words_may_go_on_in_the_next_line() -> None:
    made = tiles([("Place", "cloud_fallback"), ("Policy", element("code", "a_b"))])

    assert "<dd>cloud_<wbr>fallback</dd>" in made
    assert "<dd><code>a_b</code></dd>" in made
