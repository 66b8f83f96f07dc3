"""Placement of 100 workloads over 3 tiers × 10 device classes that share machines and fixed costs.

Claims: `placement_100x3x10_gap` at most 0.01 within `placement_100x3x10_s` of at most 10, the worst
of three problems drawn from seeds. Every placement is checked by the independent checker. Beside
it, on the first problem, the plain programme without the two steps gets the same ten seconds.

    .venv/bin/python -m benchmarks.plan_placement
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.results import claim, write

from edgewise.plan.placement import Effort, check_placement, place
from edgewise.records import Placement, PlacementProblem

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from placements import large_problem

SEEDS = (0, 1, 2)
EFFORT = Effort(seconds=9.0, gap_share=0.002)


def timed(problem: PlacementProblem, effort: Effort) -> tuple[Placement, float]:
    start = time.perf_counter()
    found = place(problem, effort=effort, explain=False)
    return found, time.perf_counter() - start


def gap_of(found: Placement) -> float:
    return 1.0 if found.gap_share is None else found.gap_share


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
    ]


if __name__ == "__main__":
    write("plan", claims_of_placement(), keep=True)
