"""`edgewise replay`: what a new policy would have done, as far as the log proves it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import edgewise

from edgewise.cli import main
from edgewise.errors import UsageError
from edgewise.observe import DecisionLog
from edgewise.records import (
    Attempt,
    BudgetRules,
    Decision,
    HedgeRules,
    OfflineRules,
    Outcome,
    Policy,
    PreRouteRules,
    Price,
    PrivacyRules,
    RequestFacts,
    SpendingLimit,
    TierKind,
    TierPolicy,
    TokenUsage,
    write_json,
)
from edgewise.simulate import replay_files

EDGE = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8)
CLOUD = TierPolicy(name="cloud", kind=TierKind.CLOUD, usd_per_request=0.01)


def decision(
    number: int, *attempts: Attempt, location: str | None, force: str | None = None
) -> Decision:
    return Decision(
        request_id=f"r{number}",
        at_s=float(number),
        policy_version="old",
        facts=RequestFacts(
            request_id=f"r{number}", input_length=5, input_bytes=9, force_location=force
        ),
        allowed=("edge", "cloud"),
        reasons=(),
        attempts=attempts,
        location=location,
        latency_ms=sum(one.latency_ms for one in attempts) + 1.0,
        cost_usd=sum(one.cost_usd for one in attempts),
    )


def edge(confidence: float) -> Attempt:
    return Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=4.0, confidence=confidence)


def cloud(outcome: Outcome = Outcome.ANSWERED) -> Attempt:
    paid = 0.0 if outcome is Outcome.FAILED else 0.01
    return Attempt(tier="cloud", outcome=outcome, latency_ms=60.0, cost_usd=paid)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with DecisionLog(tmp_path / "log.db") as log:
        log.append(decision(1, edge(0.95), location="edge"))
        log.append(decision(2, edge(0.85), location="edge"))
        log.append(decision(3, edge(0.6), cloud(), location="cloud_fallback"))
        log.append(decision(4, edge(0.5), cloud(Outcome.FAILED), location="edge"))
        log.append(decision(5, cloud(), location="cloud"))
    write_json(tmp_path / "policy.json", Policy(task="t", labels=(), tiers=(EDGE, CLOUD)))
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["replay", "log.db", "--policy", "policy.json", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_same_policy_gives_what_was_and_says_what_it_can_not_know(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder

    found = shown(capsys)

    # The fifth was sent to the cloud at once: what the edge would have said is not in the log.
    assert found["requests"] == 5
    assert found["known_share"] == pytest.approx(4 / 5)
    assert found["unknown"] == {"confidence of edge": 1}
    assert found["share"]["edge"] == {"low": pytest.approx(3 / 5), "high": pytest.approx(4 / 5)}
    assert found["share"]["cloud"] == {"low": pytest.approx(1 / 5), "high": pytest.approx(2 / 5)}
    assert found["share_before"] == {"cloud": pytest.approx(2 / 5), "edge": pytest.approx(3 / 5)}
    assert found["cost_usd"] == {"low": pytest.approx(0.01), "high": pytest.approx(0.02)}
    assert found["changed"] == {"low": 0.0, "high": pytest.approx(1 / 5)}
    assert found["latency_known_share"] == pytest.approx(4 / 5)
    assert found["latency_ms"]["p50"] == pytest.approx((5.0 + 65.0) / 2)
    assert found["policy_versions_before"] == ["old"]


def test_a_higher_threshold_rests_on_a_tier_that_was_not_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder

    found = shown(capsys, "--what-if", "tiers.edge.threshold=0.9")

    assert found["share"]["cloud"]["low"] == pytest.approx(2 / 5)
    assert found["cost_usd"]["low"] == pytest.approx(0.02)
    assert found["changed"]["low"] == pytest.approx(1 / 5)
    assert found["warnings"][0] == (
        "1 requests rest on cloud, which was not asked then, being up: it answered 2 of the 3 "
        "times that it was asked"
    )


def test_a_lower_threshold_saves_calls_that_the_log_proves(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder

    found = shown(capsys, "--what-if", "tiers.edge.threshold=0.55")

    assert found["share"]["edge"]["low"] == pytest.approx(4 / 5)
    assert found["changed"] == {"low": pytest.approx(1 / 5), "high": pytest.approx(2 / 5)}
    assert found["reasons"]["confident"] == 3


def test_tokens_cost_what_the_log_has_of_them_and_at_most_what_a_request_may_have(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log.db").unlink()
    used = TokenUsage(input_tokens=100, cached_input_tokens=40, output_tokens=20)
    asked = replace(cloud(), usage=used, cost_usd=0.7)
    with DecisionLog(folder / "log.db") as log:
        for one in (
            decision(1, edge(0.1), asked, location="cloud_fallback"),
            decision(2, edge(0.9), location="edge"),
        ):
            log.append(replace(one, facts=replace(one.facts, input_tokens=300, output_tokens=50)))
    price = Price(
        usd_per_million_tokens_in=1e4,
        usd_per_million_tokens_out=5e4,
        usd_per_million_tokens_cached=0.0,
    )
    tiers = (EDGE, replace(CLOUD, token_price=price))
    write_json(folder / "policy.json", Policy(task="t", labels=(), tiers=tiers))

    same = shown(capsys)
    stricter = shown(capsys, "--what-if", "tiers.edge.threshold=0.95")

    # Logged: 60 tokens read anew at 0.01 USD and 20 written at 0.05 USD. Not asked then: no token,
    # or all that the request may have.
    known = 0.01 + 60 * 0.01 + 20 * 0.05
    most = 0.01 + 300 * 0.01 + 50 * 0.05
    assert same["cost_usd"] == {"low": pytest.approx(known), "high": pytest.approx(known)}
    assert stricter["cost_usd"]["low"] == pytest.approx(known + 0.01)
    assert stricter["cost_usd"]["high"] == pytest.approx(known + most)
    assert stricter["known_share"] == 1.0


@pytest.mark.parametrize("change", ["rate=2", "outages.cloud=0-60", "drift.wrong_share=0.1"])
def test_a_change_of_a_trace_is_refused_for_a_log(folder: Path, change: str) -> None:
    del folder

    with pytest.raises(UsageError) as caught:
        replay_files(Path("log.db"), Path("policy.json"), ("tiers.edge.threshold=0.9", change))

    assert caught.value.what == f"a log has no `{change}`"
    assert caught.value.where == "--what-if"
    assert caught.value.hint.startswith("change a field of the policy; `edgewise simulate` ")


def test_a_tier_that_the_new_policy_has_not_answered_then_all_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log.db").unlink()
    site = Attempt(tier="site", outcome=Outcome.ANSWERED, latency_ms=9.0, confidence=0.9)
    with DecisionLog(folder / "log.db") as log:
        log.append(decision(1, edge(0.9), location="edge"))
        log.append(decision(2, edge(0.1), site, location="site"))

    two_tiers = shown(capsys)
    write_json(folder / "policy.json", Policy(task="t", labels=(), tiers=(EDGE,)))
    edge_alone = shown(capsys)

    assert two_tiers["share_before"] == {"edge": 0.5, "site": 0.5}
    assert two_tiers["share"]["site"] == {"low": 0.0, "high": 0.0}
    assert two_tiers["share"]["cloud"] == {"low": 0.5, "high": 0.5}
    assert two_tiers["changed"] == {"low": 0.5, "high": 0.5}
    assert edge_alone["share_before"] == {"edge": 0.5, "site": 0.5}
    assert edge_alone["changed"] == {"low": 0.5, "high": 0.5}


def test_the_nearest_and_the_farthest_of_two_tiers_may_have_names_of_their_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log.db").unlink()
    phone, server = replace(edge(0.9), tier="phone"), replace(cloud(), tier="server")
    with DecisionLog(folder / "log.db") as log:
        log.append(decision(1, phone, location="edge"))
        log.append(decision(2, replace(phone, confidence=0.1), server, location="cloud_fallback"))
        log.append(decision(3, location="cloud"))
    tiers = (replace(EDGE, name="phone"), replace(CLOUD, name="server"))
    write_json(folder / "policy.json", Policy(task="t", labels=(), tiers=tiers))

    found = shown(capsys)

    assert found["share_before"] == {"phone": pytest.approx(1 / 3), "server": pytest.approx(2 / 3)}


def test_rules_that_hang_on_what_a_log_does_not_hold_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = BudgetRules(path="spent", total=SpendingLimit(usd_per_day=0.001))
    tiers = (EDGE, replace(CLOUD, max_in_flight=1))
    policy = Policy(task="t", labels=(), tiers=tiers, budget=limit)
    write_json(folder / "policy.json", policy)

    assert shown(capsys)["warnings"][-1] == (
        "decided without its budget and its limits of calls at once: a log does not say how that "
        "stood"
    )


def test_hedges_that_no_replay_of_a_log_sends_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log.db").unlink()
    with DecisionLog(folder / "log.db") as log:
        log.append(decision(1, edge(0.95), cloud(Outcome.CANCELLED), location="edge"))
    policy = Policy(task="t", labels=(), tiers=(EDGE, CLOUD), hedge=HedgeRules())
    write_json(folder / "policy.json", policy)

    found = shown(capsys)

    assert (found["cost_usd"]["high"], found["cost_usd_before"]) == (0.0, 0.01)
    assert found["warnings"][-1] == (
        "decided without its hedges: a log does not say how that stood"
    )


def test_requests_of_which_a_log_has_no_gain_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log.db").unlink()
    known = decision(1, edge(0.9), location="edge")
    with DecisionLog(folder / "log.db") as log:
        log.append(replace(known, facts=replace(known.facts, gain=0.1)))
        log.append(decision(2, edge(0.9), location="edge"))
        private = decision(3, edge(0.9), location="edge")
        log.append(replace(private, facts=replace(private.facts, private=True)))
    rules = PreRouteRules(min_gain=0.3)
    policy = Policy(task="t", labels=(), tiers=(EDGE, CLOUD), preroute=rules)
    write_json(folder / "policy.json", replace(policy, offline=OfflineRules(path="queue")))

    assert shown(capsys)["warnings"][-2:] == [
        "1 requests have no predicted gain in the log: none of them is pre-routed",
        "decided without its store of requests that may wait: a log does not say how that stood",
    ]


def test_a_refused_force_and_a_hedge_that_was_overtaken_are_no_evidence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DecisionLog(folder / "log.db") as log:
        log.append(decision(6, edge(0.1), cloud(Outcome.CANCELLED), location=None))
        log.append(decision(7, cloud(), location="cloud", force="sky"))
    rules = PrivacyRules(residency={"eu": ("edge",)})
    policy = Policy(task="t", labels=(), tiers=(EDGE, CLOUD), privacy=rules)
    write_json(folder / "policy.json", policy)

    found = shown(capsys)

    assert found["share"]["none"] == {"low": pytest.approx(1 / 7), "high": pytest.approx(1 / 7)}
    assert found["share_before"]["none"] == pytest.approx(1 / 7)
    assert "1 requests rest on cloud" in found["warnings"][0]


def test_people_read_bounds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder

    assert main(["replay", "log.db", "--policy", "policy.json"]) == 0

    out = capsys.readouterr().out
    assert "5 requests; 80.0% go a way that the log proves" in out
    assert "0.01 USD to 0.02 USD" in out
    assert "60.0% to 80.0%" in out
    assert "unknown: confidence of edge (1 requests)" in out


def test_an_absent_log_is_refused_and_not_made(folder: Path) -> None:
    done = edgewise("replay", "none.db", "--policy", "policy.json", folder=folder)

    done.refused("none.db", "no such decision log")
    assert not (folder / "none.db").exists()


def test_a_file_that_is_no_log_and_an_empty_log_are_refused(folder: Path) -> None:
    (folder / "other.db").write_text("not a database")
    with DecisionLog(folder / "empty.db"):
        pass

    other = edgewise("replay", "other.db", "--policy", "policy.json", folder=folder)
    empty = edgewise("replay", "empty.db", "--policy", "policy.json", folder=folder)

    other.refused("other.db", "the decision log can't be read")
    empty.refused("empty.db", "the log holds no decisions")


def test_what_was_stored_is_no_evidence_of_how_it_would_have_gone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log.db").unlink()
    late = replace(decision(1, cloud(), location="cloud", force="cloud"), tags=("late",))
    expired = replace(decision(2, location=None), error="expired")
    private = replace(late, request_id="r3", facts=replace(late.facts, private=True))
    with DecisionLog(folder / "log.db") as log:
        for one in (late, expired, private, decision(4, edge(0.9), location="edge")):
            log.append(one)

    found = shown(capsys)

    # One that is private may end at the edge or nowhere.
    assert found["unknown"] == {"why it was stored": 3}
    assert found["known_share"] == pytest.approx(1 / 4)
    assert found["share"]["edge"] == {"low": pytest.approx(1 / 4), "high": 1.0}
    assert found["share"]["cloud"] == {"low": 0.0, "high": pytest.approx(2 / 4)}
    assert found["share"]["none"] == {"low": 0.0, "high": pytest.approx(3 / 4)}
    assert found["cost_usd"] == {"low": 0.0, "high": pytest.approx(0.02)}


def test_every_end_of_a_way_over_many_tiers_counts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "log.db").unlink()
    with DecisionLog(folder / "log.db") as log:
        one = decision(1, location=None)
        log.append(replace(one, facts=replace(one.facts, input_tokens=100)))
    price = Price(usd_per_million_tokens_in=1e4)
    sites = [
        replace(EDGE, name=f"site{n}", kind=TierKind.SITE, token_price=price) for n in range(8)
    ]
    tiers = (EDGE, *sites, replace(CLOUD, token_price=price))
    write_json(folder / "policy.json", Policy(task="t", labels=(), tiers=tiers))

    found = shown(capsys)

    # At the most every one is asked, 9 of them for 100 tokens of 0.01 USD each.
    assert [found["share"][tier.name]["high"] for tier in tiers] == [1.0] * 10
    assert found["cost_usd"] == {"low": 0.0, "high": pytest.approx(0.01 + 9.0)}
