"""What `make bench-NAME` runs: no script is left out, and the claims that are promised are made."""

import re
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ROUTING = (
    "guarantee_violation_rate_worst",
    "guarantee_deferral_mean",
    "prerouter_p99_us_{length}",
    "prerouter_apgr_{name}",
    "mmlu",
    "domains_left_out",
    "decision_p50_us",
    "decision_p99_us",
    "engine_overhead_p50_us",
    "privacy_leaks",
    "requests_lost",
    "requests_answered_twice",
    "deadline_missed",
    "recovery_s",
)


def test_the_routing_benchmark_runs_each_of_its_scripts() -> None:
    said = (BENCHMARKS / "route.py").read_text("utf-8").partition("def main()")[2]

    run = set(re.findall(r"^    (route_\w+)\.main\(\)$", said, re.MULTILINE))

    assert run == {path.stem for path in BENCHMARKS.glob("route_*.py")}


def test_each_claim_about_routing_is_made_by_a_script() -> None:
    said = "".join(path.read_text("utf-8") for path in sorted(BENCHMARKS.glob("route*.py")))

    assert [name for name in ROUTING if f'"{name}"' not in said] == []
