"""The pages by HTTP: their form, their headers, what they show and what they never hold."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from gateways import Running, running
from pages import POLICY, read

from edgewise.gateway.pages import attach
from edgewise.gateway.pages.markup import element, table
from edgewise.gateway.pages.walking import replay
from edgewise.gateway.settings import CallerRules, Settings
from edgewise.records import (
    Attempt,
    BudgetRules,
    Input,
    Outcome,
    Policy,
    Prediction,
    RequestFacts,
    SpendingLimit,
)
from edgewise.route import HybridInferenceEngine

ROOT = Path(__file__).parents[3]
SECRET = "hunter2-of-the-payload"


class Tier:
    """A tier that is sure of texts with `good` in them."""

    ready = True

    def __init__(self, *, remote: bool) -> None:
        self.remote = remote
        self.asked = 0

    async def ask(
        self, one: Input, timeout_ms: float | None, *, request_id: str = ""
    ) -> Prediction:
        del timeout_ms, request_id
        self.asked += 1
        sure = 0.9 if "good" in str(one["text"]) else 0.5
        return Prediction("yes", sure, (1 - sure, sure))

    async def probe(self, timeout_ms: float) -> None: ...

    async def aclose(self) -> None: ...


@contextmanager
def paged(
    policy: Policy = POLICY, settings: Settings | None = None
) -> Iterator[tuple[Running, Tier, Tier]]:
    near, far = Tier(remote=False), Tier(remote=True)
    tiers = {"edge": near, "cloud": far}
    with running(
        lambda log: HybridInferenceEngine(policy=policy, tiers=tiers, decision_log=log),
        settings=settings,
    ) as one:
        attach(one.gateway, None, keys=settings is not None)
        yield one, near, far


def ask(one: Running, text: str, **more: Any) -> None:
    assert one.client.post("/predict", json={"text": text, **more}).status_code == 200


def asset(name: str) -> str:
    return (files("edgewise.gateway.pages") / name).read_text()


def test_the_dashboard_is_well_formed_and_has_what_a_screen_reader_needs() -> None:
    with paged() as (one, _, _):
        ask(one, "good")
        page = read(one.client.get("/").text)

    names = [name for name, _ in page.tags]
    for landmark in ("header", "nav", "main", "h1"):
        assert names.count(landmark) == 1
    assert names.count("table") == names.count("caption") > 2
    said = dict(page.tags)["html"]
    assert said["lang"] == "en"
    status = next(found for _, found in page.tags if found.get("id") == "news")
    assert status["aria-live"] == "polite"
    ids = [found["id"] for _, found in page.tags if "id" in found]
    labels = [found["aria-labelledby"] for name, found in page.tags if "aria-labelledby" in found]
    assert len(set(ids)) == len(ids)
    assert set(labels) <= set(ids)
    assert all("scope" in found for name, found in page.tags if name == "th")


def test_the_playgrounds_fields_have_labels() -> None:
    with paged() as (one, _, _):
        page = read(one.client.get("/playground").text)

    named = {found.get("for") for name, found in page.tags if name == "label"}
    fields = [found for name, found in page.tags if name in ("input", "textarea")]
    assert {found["id"] for found in fields} - named == {"private"}  # inside its label


@pytest.mark.parametrize("path", ["/", "/playground", "/dashboard/state", "/assets/pages.js"])
def test_pages_run_no_script_but_their_own(path: str) -> None:
    with paged() as (one, _, _):
        answer = one.client.get(path)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline() -> None:
    with paged() as (one, _, _):
        ask(one, "good")
        texts = [one.client.get(path).text for path in ("/", "/playground")]
        styles = one.client.get("/assets/pages.css").text

    for text in texts:
        assert "://" not in text
        for name, found in read(text).tags:
            assert "style" not in found
            assert not any(key.startswith("on") for key in found)
            assert name != "style"
            if name == "script":
                assert found["src"] == "/assets/pages.js"
    for text in (styles, asset("pages.js")):
        assert "://" not in text
        assert "@import" not in text
        assert "eval(" not in text


def test_pages_hold_no_payload_and_no_secret() -> None:
    with paged() as (one, _, _):
        ask(one, f"good {SECRET}")
        ask(one, f"{SECRET} of me@example.org")
        last = one.gateway.decisions.latest[-1].request_id
        paths = ("/", "/dashboard/state", f"/dashboard/decision?id={last}", "/playground")
        texts = [one.client.get(path).text for path in paths]

    for text in texts:
        for never in (SECRET, "hunter", "example.org"):
            assert never not in text


def test_the_state_says_where_traffic_went_and_what_it_saved() -> None:
    with paged() as (one, _, _):
        for text in ("good", "good", "doubtful"):
            ask(one, text)
        ask(one, "doubtful", privacy_flag=True)
        told = one.client.get("/dashboard/state").json()
    state = told["state"]

    assert sorted(state) == [
        *("at_s", "budget", "certificate", "draining", "drift", "in_flight", "latest", "model"),
        *("money", "policy_version", "processes", "ready", "refused", "rollout", "tiers"),
        "traffic",
    ]
    assert state["traffic"]["locations"] == {"edge": 3, "cloud_fallback": 1}
    assert state["traffic"]["reasons"]["low_confidence"] == 2
    assert state["money"] == {
        "spent_usd": pytest.approx(0.01),
        "always_cloud_usd": pytest.approx(0.03),
        "saved_usd": pytest.approx(0.02),
        "kept_near": 1,
    }
    assert [tier["calls"] for tier in state["tiers"]] == [4, 1]
    assert [tier["circuit"] for tier in state["tiers"]] == ["closed", "closed"]
    assert sorted(state["latest"][0]) == [
        *("at_s", "confidence", "cost_usd", "error", "latency_ms"),
        *("location", "reasons", "request_id"),
    ]
    assert told["news"] == "Requests are welcome."
    for html in told["sections"].values():
        read(html)


def test_the_budget_is_shown_with_its_limits(tmp_path: Any) -> None:
    rules = BudgetRules(path=str(tmp_path / "budget"), total=SpendingLimit(usd_per_day=1.0))
    with paged(replace(POLICY, budget=rules)) as (one, _, _):
        ask(one, "doubtful")
        told = one.client.get("/dashboard/state").json()

    budget = told["state"]["budget"]
    assert budget["usd_per_day"] == 1.0
    assert budget["usd_per_month"] is None
    assert 0.01 <= budget["day_usd"] < 0.05  # what is set aside counts
    assert "Today, spent or set aside" in told["sections"]["money"]
    assert "This month" not in told["sections"]["money"]


def test_a_decision_is_replayed_step_by_step() -> None:
    with paged() as (one, _, far):
        ask(one, "doubtful")
        asked = far.asked
        last = one.gateway.decisions.latest[-1].request_id
        told = one.client.get(f"/dashboard/decision?id={last}").json()

    assert far.asked == asked
    assert [step["action"] for step in told["steps"]] == ["ask", "ask", "answer"]
    assert told["location"] == told["logged"] == "cloud_fallback"
    assert "it comes out the same" in told["html"]


def test_a_decision_that_is_not_there_is_said_so() -> None:
    with paged() as (one, _, _):
        answer = one.client.get("/dashboard/decision?id=<script>")

    assert answer.status_code == 400
    assert answer.json()["error"] == "no such decision among the last"
    assert "last decisions" in answer.json()["hint"]


def test_a_decision_of_another_policy_is_not_replayed_by_this_one() -> None:
    with paged() as (one, _, _):
        ask(one, "good")
        made = one.gateway.decisions.latest
        made.append(replace(made[-1], policy_version="other", request_id="old"))
        answer = one.client.get("/dashboard/decision?id=old")

    assert answer.json()["error"] == "another policy made it"
    assert "edgewise replay" in answer.json()["hint"]


def test_a_replay_says_what_it_can_not_know() -> None:
    facts = RequestFacts(request_id="a", input_length=1, input_bytes=1)
    tried = Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=1.0, confidence=0.1)

    assert replay(POLICY, facts, [tried]).unknown == "cloud"


def test_a_replay_of_what_privacy_refused_says_why() -> None:
    facts = RequestFacts(
        request_id="a", input_length=1, input_bytes=1, private=True, force_location="cloud"
    )

    assert "may not see this request" in replay(POLICY, facts, []).refused


def test_the_playground_decides_without_asking_or_logging() -> None:
    with paged() as (one, near, far):
        told = one.client.post("/playground/decide", json={"text": f"doubtful {SECRET}"}).json()

        assert (near.asked, far.asked) == (1, 0)
        assert not one.gateway.decisions.latest
        assert one.gateway.engine.outlook().states()["edge"].in_flight == 0
    assert told["location"] == "cloud_fallback"
    assert SECRET not in json.dumps(told)
    assert "0 ms" not in told["html"].replace("60 ms", "")  # what was not measured has no time
    read(told["html"])


@pytest.mark.parametrize(
    ("more", "location"),
    [
        ({"threshold": 0.4}, "edge"),
        ({"threshold": 0.95}, "cloud_fallback"),
        ({"private": True}, "edge"),
        ({"rtt_ms": 5}, "cloud_fallback"),
        ({"text": "doubtful, of me@example.org"}, "edge"),
    ],
)
def test_sliders_change_what_would_be_decided(more: dict[str, Any], location: str) -> None:
    with paged() as (one, _, _):
        told = one.client.post("/playground/decide", json={"text": "doubtful", **more}).json()

    assert told["location"] == location


def test_a_slow_network_keeps_a_hurried_request_near() -> None:
    with paged(replace(POLICY, deadline_ms=200.0)) as (one, _, _):
        fast = one.client.post("/playground/decide", json={"text": "doubtful", "rtt_ms": 9})
        slow = one.client.post("/playground/decide", json={"text": "doubtful", "rtt_ms": 1900})

    assert fast.json()["location"] == "cloud_fallback"
    assert slow.json()["location"] == "edge"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({}, "no `text`"),
        ({"text": 3}, "no `text`"),
        ({"text": "x" * 20_001}, "no `text`"),
        ({"text": "x", "private": 1}, "no `text`"),
        ({"text": "x", "rtt_ms": -1}, "`rtt_ms`"),
        ({"text": "x", "threshold": "1"}, "`threshold`"),
        ({"text": "x", "threshold": True}, "`threshold`"),
    ],
)
def test_what_the_playground_can_not_use_is_said(body: dict[str, Any], what: str) -> None:
    with paged() as (one, _, _):
        answer = one.client.post("/playground/decide", json=body)

    assert answer.status_code == 400
    assert what in answer.json()["error"]
    assert answer.json()["hint"]


def test_with_keys_the_pages_are_empty_until_one_is_given() -> None:
    digest = hashlib.sha256(b"k").hexdigest()
    settings = Settings(callers=(CallerRules(name="me", key_sha256=digest),))
    given = {"authorization": "Bearer k"}
    with paged(settings=settings) as (one, _, _):
        body = {"text": "good"}
        assert one.client.post("/predict", json=body, headers=given).status_code == 200
        page = one.client.get("/").text
        refused = [
            one.client.get("/dashboard/state").status_code,
            one.client.get("/dashboard/decision?id=a").status_code,
            one.client.post("/playground/decide", json=body).status_code,
        ]
        told = one.client.get("/dashboard/state", headers=given).json()

    assert "cloud" not in page
    assert 'id="key"' in page
    assert refused == [401, 401, 401]
    assert told["state"]["traffic"]["decisions"] == 1


def test_a_foreign_name_of_this_machine_gets_no_dashboard() -> None:
    with paged() as (one, _, _):
        answer = one.client.get("/", headers={"host": "evil.example"})

    assert answer.status_code == 421


def test_what_is_shown_is_escaped() -> None:
    evil = '<script>alert("x")</script>'

    made = table(evil, [evil, evil], [[evil, element("b", evil, title=evil)]])

    assert "<script" not in made
    assert made.count("&lt;script&gt;") == 7
    read(made)


def test_a_tier_named_like_a_script_stays_a_name() -> None:
    evil = "<script>x</script>"
    tiers = (replace(POLICY.tiers[0], name=evil), POLICY.tiers[1])
    policy = replace(POLICY, tiers=tiers)
    with running(
        lambda log: HybridInferenceEngine(
            policy=policy,
            tiers={evil: Tier(remote=False), "cloud": Tier(remote=True)},
            decision_log=log,
        )
    ) as one:
        attach(one.gateway, None, keys=False)
        ask(one, "good")
        text = one.client.get("/").text

    assert evil not in text
    assert "&lt;script&gt;x&lt;/script&gt;" in text


def test_grafanas_panels_name_metrics_that_there_are() -> None:
    with paged() as (one, _, _):
        ask(one, "doubtful")
        text = one.client.get("/metrics").text
    there = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}

    board = json.loads((ROOT / "deploy/grafana/edgewise.json").read_text())
    told = " ".join(
        target["expr"] for panel in board["panels"] for target in panel.get("targets", ())
    )
    named = set(re.findall(r"edgewise_\w+", told))
    assert len(named) > 8
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} <= there
