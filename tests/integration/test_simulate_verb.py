"""`edgewise simulate` on files: its keys, its numbers, its refusals."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import edgewise
from plan_numbers import PROFILE

from edgewise.cli import main
from edgewise.preroute import PreRouter
from edgewise.records import (
    OfflineRules,
    Policy,
    PreRouteRules,
    Profile,
    ServiceFormula,
    Target,
    TierKind,
    TierPolicy,
    read_json,
    write_json,
)
from edgewise.records.profile import Energy

KEYS = {
    "requests",
    "wall_s",
    "latency_ms",
    "share",
    "cost_usd",
    "quality",
    "deadline_miss_rate",
    "queue",
    "reasons",
}
HEADER = "t_s,input_tokens,output_tokens\n"
ROWS = "0,1000,10\n0.1,2000,20\n0.1,10,1\n5,500,2\n"
CLOUD = """
tiers:
  cloud:
    servers: 1
    rtt_ms: {p50: 50, p95: 50}
    service: {base_ms: 200, per_input_token_ms: 0.1, per_output_token_ms: 20}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.csv").write_text(HEADER + ROWS)
    (tmp_path / "edgewise.yaml").write_text(CLOUD)
    edge = TierPolicy(
        name="edge", kind=TierKind.DEVICE, threshold=0.5, service=ServiceFormula(base_ms=10.0)
    )
    cloud = TierPolicy(name="cloud", kind=TierKind.CLOUD, usd_per_request=0.01)
    write_json(tmp_path / "policy.json", Policy(task="t", labels=(), tiers=(edge, cloud)))
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["simulate", "--trace", "trace.csv", *arguments, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_project_files_tiers_are_enough(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder

    found = shown(capsys, "--policy", "edgewise.yaml")

    assert found.keys() >= KEYS
    assert found["latency_ms"].keys() == {"p50", "p95", "p99"}
    assert found["quality"].keys() >= {"value", "low", "high"}
    # 500, 800, 221 and 290 ms of service, one after the other from 0, 0.5 and 1.3 s, then at 5 s.
    queue = found["queue"]["cloud"]
    assert queue["mean_wait_ms"] == pytest.approx((0 + 400 + 1200 + 0) / 4)
    assert queue["p95_wait_ms"] == pytest.approx(400 + 0.85 * 800)
    assert queue["share_waiting"] == 0.5
    assert queue["utilization"] == pytest.approx((500 + 800 + 221 + 290) / 5000)
    assert found["latency_ms"]["p50"] == pytest.approx((550 + 1250) / 2)


def test_a_policy_is_replayed_with_answers_a_profile_and_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "answers.csv").write_text(
        "edge_confidence,edge_correct,cloud_correct\n0.9,1,1\n0.1,0,1\n"
    )
    target = Target(
        cpu="c",
        cpu_features=(),
        cores=1,
        memory_bytes=1,
        threads=1,
        runtime="r",
        runtime_version="1",
    )
    profile = Profile(
        bundle_sha256="",
        target=target,
        n=9,
        cold_start_ms=1.0,
        load_ms=1.0,
        p50_ms=4.0,
        p95_ms=9.0,
        p99_ms=9.0,
        buckets=(),
        peak_memory_bytes=1,
        size_bytes=1,
        energy=Energy(joules_per_request=2.0, origin="measured", how="rapl"),
    )
    write_json(folder / "profile.json", profile)

    found = shown(
        capsys,
        *("--policy", "policy.json", "--answers", "answers.csv", "--profile", "edge=profile.json"),
        *("--what-if", "tiers.cloud.usd_per_request=1", "--seed", "3"),
    )

    assert sum(found["share"].values()) == pytest.approx(1.0)
    assert found["cost_usd"] == pytest.approx(found["attempts"]["cloud"])
    assert found["quality"]["value"] == 1.0
    assert found["quality"]["low"] < 1.0
    assert found["energy"]["joules"] == 8.0
    assert found["what_if"] == ["tiers.cloud.usd_per_request=1"]


def test_the_same_seed_gives_the_same_bytes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder
    runs = []
    for _ in range(2):
        found = shown(capsys, "--policy", "policy.json", "--seed", "7")
        found.pop("wall_s")
        runs.append(json.dumps(found))

    assert runs[0] == runs[1]


def test_a_runs_directory_brings_policy_and_profile(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder

    assert shown(capsys, "--policy", ".")["requests"] == 4


def test_a_runs_directory_brings_its_profile_to_another_policy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    energy = Energy(joules_per_request=2.0, origin="measured", how="rapl")
    write_json(folder / "run/profile.json", replace(PROFILE, energy=energy))

    for given in ("run", "edge=run"):
        found = shown(capsys, "--policy", "policy.json", "--profile", given)
        assert found["energy"]["joules"] == 8.0
    bare = shown(capsys, "--policy", "policy.json", "--profile", "edge=.", code=1)

    assert (bare["error"]["what"], bare["error"]["where"]) == ("no such file", "profile.json")


def test_an_unstable_tier_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder

    found = shown(capsys, "--policy", "edgewise.yaml", "--what-if", "rate=20")

    assert found["unstable"] == ["cloud"]
    assert found["queue"]["cloud"]["utilization"] > 1.0
    assert found["warnings"][0].startswith("cloud is unstable")


def test_a_tier_that_always_rests_before_the_next_request_is_stable(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "trace.csv").write_text(HEADER + "0,1,0\n10,1,0\n20,1,0\n")
    for base_ms, unstable in ((7000, []), (10_000, ["cloud"])):
        text = f"tiers: {{cloud: {{servers: 1, service: {{base_ms: {base_ms}}}}}}}\n"
        (folder / "edgewise.yaml").write_text(text)

        found = shown(capsys, "--policy", "edgewise.yaml")

        # Three times 7 s in 20 s, and yet each is done 3 s before the next comes.
        assert found["queue"]["cloud"]["utilization"] == pytest.approx(3 * base_ms / 20_000)
        assert found["unstable"] == unstable


@pytest.mark.parametrize(
    ("moments", "words"),
    [
        ([*range(300), 9000], "no request came for 8701 s once: is the trace whole?"),
        (range(0, 2_000_000, 1000), "requests come minutes apart, for weeks: is `t_s` in milli"),
        ([1764e9 + 137 * k for k in range(9)], "begins after the year 5000: is `t_s` in milli"),
    ],
    ids=["a gap", "milliseconds", "milliseconds of the epoch"],
)
def test_a_trace_that_looks_wrong_is_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str], moments: list[float], words: str
) -> None:
    (folder / "trace.csv").write_text(HEADER + "".join(f"{at_s:.0f},1,1\n" for at_s in moments))

    found = shown(capsys, "--policy", "edgewise.yaml")

    assert words in " ".join(found["warnings"])


def test_a_request_that_comes_as_a_server_is_free_does_not_wait(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "trace.csv").write_text(HEADER + "".join(f"{k * 0.3:.1f},0,5\n" for k in range(500)))

    found = shown(capsys, "--policy", "edgewise.yaml")

    # A service takes 300 ms, in sums of which the last digits differ.
    assert found["queue"]["cloud"]["share_waiting"] == 0
    assert found["queue"]["cloud"]["mean_wait_ms"] < 1e-6


def test_people_read_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "answers.csv").write_text("edge_confidence,edge_correct,cloud_correct\n0.9,1,1\n")
    (folder / "network.csv").write_text("t_s,up_mbps,rtt_ms\n0,1,20\n1,1,20\n")
    arguments = ["simulate", "--policy", "policy.json", "--trace", "trace.csv"]
    arguments += ["--answers", "answers.csv", "--network", "network.csv"]
    arguments += ["--what-if", "deadline_ms=1", "--what-if", "tiers.edge.servers=1"]

    assert main(arguments) == 0

    out = capsys.readouterr().out
    assert "4 requests over 5 s" in out
    assert "miss the deadline of 1 ms" in out
    assert "4 bytes a token" in out
    assert "deadline" in out


def test_arrivals_are_fitted_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{k * k / 50},1,1\n" for k in range(60))
    (folder / "trace.csv").write_text(HEADER + rows)

    found = shown(capsys, "--policy", "policy.json", "--fit")
    assert main(["simulate", "--policy", "policy.json", "--trace", "trace.csv", "--fit"]) == 0

    assert {one["name"] for one in found["fits"]["fits"]} == {"poisson", "mmpp2"}
    assert all(one["ad"] > 0.0 for one in found["fits"]["fits"])
    assert [one["name"] for one in found["service_fits"]["edge"]["fits"]] == ["constant"]
    out = capsys.readouterr().out
    assert "mmpp2" in out
    assert "A² of 5 %" in out
    assert "service, edge" in out


def test_what_is_fitted_is_what_is_replayed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "trace.csv").write_text(HEADER + "".join(f"{n},10,1\n" for n in range(41)))

    changes = ("--what-if", "rate=4", "--what-if", "tiers.cloud.service.base_ms=500")
    found = shown(capsys, "--policy", "edgewise.yaml", *changes, "--fit")

    poisson = next(one for one in found["fits"]["fits"] if one["name"] == "poisson")
    assert found["arrivals"]["per_s"] == pytest.approx(4.0)
    assert poisson["parameters"]["per_s"] == pytest.approx(4.0)
    assert found["service_fits"]["cloud"]["mean"] == pytest.approx(0.521)


def test_a_tier_that_works_on_nothing_has_no_service_to_fit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "edgewise.yaml").write_text("tiers: {cloud: {service: {per_output_token_ms: 2}}}\n")
    rows = "".join(f"{k * k / 50},1,{k}\n" for k in range(60))
    (folder / "trace.csv").write_text(HEADER + rows)

    found = shown(capsys, "--policy", "edgewise.yaml", "--fit")

    assert found["service_fits"] == {}


def test_what_is_stored_and_answered_later_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = TierPolicy(name="cloud", kind=TierKind.CLOUD)
    offline = OfflineRules(path="queue.db", max_age_s=60.0)
    write_json(folder / "policy.json", Policy(task="t", labels=(), tiers=(cloud,), offline=offline))
    (folder / "trace.csv").write_text("t_s,input_tokens,output_tokens,late\n0,1,1,1\n9,1,1,0\n")
    dark = ("--policy", "policy.json", "--what-if", "outages.cloud=0-5")

    found = shown(capsys, *dark)
    assert main(["simulate", "--trace", "trace.csv", *dark]) == 0
    out = capsys.readouterr().out
    assert main(["simulate", "--trace", "trace.csv", *dark[:3], "outages.cloud=0-99"]) == 0

    assert found["share"] == {"cloud": 0.5, "queued": 0.5}
    assert found["late"]["answered"] == 1
    assert "queued  50.0% of requests" in out
    assert "1 of 1 have their answer, after 5" in out
    none = capsys.readouterr().out
    assert "have their answer" not in none
    assert "queued  50.0% of requests were stored" in none
    assert "1 expired and 0 were given up" in none


def test_a_policys_pre_router_reads_the_texts_of_the_answers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    easy = [f"add {k} and 2" for k in range(50)]
    hard = [f"prove lemma {k}" for k in range(50)]
    weights = PreRouter.fit(easy + hard, [1] * 50 + [0] * 50, [1] * 100).weights
    policy = read_json(Policy, folder / "policy.json")
    rules = PreRouteRules(weights=weights, min_gain=0.5)
    write_json(folder / "policy.json", replace(policy, preroute=rules))
    (folder / "answers.csv").write_text(
        "edge_confidence,edge_correct,cloud_correct,text,text_id\n"
        "0.9,1,1,add 7 and 2,a\n0.9,0,1,prove lemma 7,b\n"
    )
    (folder / "trace.csv").write_text(
        "t_s,input_tokens,output_tokens,text_id\n0,5,1,a\n1,5,1,b\n2,5,1,b\n"
    )

    found = shown(capsys, "--policy", "policy.json", "--answers", "answers.csv")
    (folder / "trace.csv").write_text(HEADER + ROWS)
    blind = shown(capsys, "--policy", "policy.json")

    assert found["reasons"]["pre_routed"] == 2
    assert found["quality"]["value"] == 1.0
    assert "pre_routed" not in blind["reasons"]
    assert any("nothing is pre-routed" in line for line in blind["warnings"])


def test_a_trace_that_can_not_be_is_refused_with_its_line(folder: Path) -> None:
    (folder / "trace.csv").write_text(HEADER + "1,1,1\n0,1,1\n")

    done = edgewise("simulate", "--policy", "policy.json", "--trace", "trace.csv", folder=folder)

    done.refused("trace.csv:3", "out of order", "sort the rows")


def test_repeated_ids_are_refused_unless_answers_name_texts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "trace.csv").write_text("t_s,input_tokens,output_tokens,text_id\n0,1,1,a\n1,1,1,a\n")
    (folder / "answers.csv").write_text(
        "edge_confidence,edge_correct,cloud_correct,text_id\n0.9,1,1,a\n"
    )

    wrong = shown(capsys, "--policy", "policy.json", code=1)
    right = shown(capsys, "--policy", "policy.json", "--answers", "answers.csv")

    assert wrong["error"]["where"] == "trace.csv:3"
    assert right["requests"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--what-if", "rate=0"], 2, "`rate` is not from 1e-09 to 1e+09: 0.0"),
        (["--what-if", "failures.sky=0.1"], 2, "no tier `sky`"),
        (["--profile", "none.json"], 1, "no such file"),
        (["--network", "none.csv"], 1, "can't be read"),
    ],
)
def test_a_mistake_is_answered(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    what: str,
) -> None:
    del folder

    found = shown(capsys, "--policy", "policy.json", *arguments, code=code)

    assert found["error"]["what"].startswith(what)
    assert found["error"]["hint"]


CHAT = """
task: text-generation
max_output_tokens: 200
tiers:
  edge: {kind: site, endpoint: "http://127.0.0.1:9/v1", threshold: 0.5, service: {base_ms: 40}}
  cloud: {usd_per_output_token: 0.001, servers: 2, rtt_ms: {p50: 50, p95: 50}}
"""


def test_a_project_for_text_generation_brings_its_tiers_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "edgewise.yaml").write_text(CHAT)
    answers = "edge_confidence,edge_correct,cloud_correct\n0.1,0,1\n"
    (folder / "answers.csv").write_text(answers)

    found = shown(capsys, "--policy", "edgewise.yaml", "--answers", "answers.csv")

    assert found["share"] == {"edge": 0.0, "cloud": 1.0}
    assert found["queue"]["cloud"]["servers"] == 2
    assert found["queue"]["edge"]["mean_service_ms"] == pytest.approx(40.0)
    assert found["latency_ms"]["p50"] == pytest.approx(90.0)
    assert found["cost_usd"] == pytest.approx((10 + 20 + 1 + 2) * 0.001)


def test_a_project_file_that_can_not_be_is_refused_with_its_place(folder: Path) -> None:
    (folder / "edgewise.yaml").write_text("tiers:\n  cloud: {servers: 0}\n")

    done = edgewise("simulate", "--policy", "edgewise.yaml", "--trace", "trace.csv", folder=folder)

    done.refused("edgewise.yaml:2:20", "servers")
