"""Placement of 100 workloads over 3 tiers × 10 device classes that share machines and fixed costs.

Claims: `placement_100x3x10_gap` at most 0.01 within `placement_100x3x10_s` of at most 10, the worst
of three problems drawn from seeds. Every placement is checked by the independent checker. Beside
it, on the first problem, the plain programme without the two steps gets the same ten seconds.

`placement_unshared_ms` at most 500: the first problem where nothing is shared, for every machine is
paid by the request and nothing costs once. Each workload is then decided by itself.

    .venv/bin/python -m benchmarks.plan_placement
"""

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.results import claim, write

from edgewise.plan.placement import Effort, check_placement, place
from edgewise.records import Placement, PlacementMethod, PlacementProblem

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from placements import large_problem

SEEDS = (0, 1, 2)
UNSHARED_RUNS = 7
EFFORT = Effort(seconds=9.0, gap_share=0.002)


def timed(problem: PlacementProblem, effort: Effort) -> tuple[Placement, float]:
    start = time.perf_counter()
    found = place(problem, effort=effort, explain=False)
    return found, time.perf_counter() - start


def gap_of(found: Placement) -> float:
    return 1.0 if found.gap_share is None else found.gap_share


def unshared(problem: PlacementProblem) -> PlacementProblem:
    """Give a problem without what workloads share: machines, fixed costs, totals."""
    return replace(
        problem,
        pools=tuple(replace(one, max_units=None, usd_per_month=0.0) for one in problem.pools),
        tiers=tuple(replace(one, usd_per_month=0.0) for one in problem.tiers),
        workloads=tuple(replace(one, availability=None) for one in problem.workloads),
        budget_usd_per_month=None,
        joules_per_month=None,
    )


def claims_of_unshared() -> list[dict[str, Any]]:
    """Give the claim of a problem that falls apart."""
    problem = unshared(large_problem(100, 3, 10, seed=SEEDS[0]))
    took_ms = []
    for _ in range(UNSHARED_RUNS):
        found, took_s = timed(problem, EFFORT)
        assert found.method is PlacementMethod.ENUMERATION
        assert check_placement(problem, found) == ()
        took_ms.append(took_s * 1000)
    value = round(statistics.median(took_ms), 1)
    print(f"nothing shared: {value} ms")
    return [claim("placement_unshared_ms", value, 500.0, runs=UNSHARED_RUNS)]


def claims_of_placement() -> list[dict[str, Any]]:
    """Give the claims; `benchmarks.plan` writes them with the others'."""
    gaps, seconds = [], []
    for seed in SEEDS:
        problem = large_problem(100, 3, 10, seed=seed)
        found, took_s = timed(problem, EFFORT)
        broken = check_placement(problem, found) if found.feasible else ("nothing was found",)
        gaps.append(1.0 if broken else gap_of(found))
        seconds.append(took_s)
        print(
            f"seed {seed}: {found.usd_per_month} USD, gap {gaps[-1]:.4f}, {took_s:.1f} s {broken}"
        )
    at_once = replace(EFFORT, many_routes=10**9)
    plain, plain_s = timed(large_problem(100, 3, 10, seed=SEEDS[0]), at_once)
    runs = len(SEEDS)
    return [
        claim(
            "placement_100x3x10_gap",
            max(gaps),
            0.01,
            runs=runs,
            peers={"programme_at_once": gap_of(plain)},
        ),
        claim(
            "placement_100x3x10_s",
            max(seconds),
            10.0,
            runs=runs,
            peers={"programme_at_once": plain_s},
        ),
        *claims_of_unshared(),
    ]


if __name__ == "__main__":
    write("plan", claims_of_placement(), keep=True)
