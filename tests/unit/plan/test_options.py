"""Fronts, counts of upkeep, crossings of bent bills."""

import numpy as np
import pytest

from edgewise.plan.complexity import complexity
from edgewise.plan.crossing import crossings
from edgewise.plan.pareto import mark_beaten
from edgewise.records import Complexity, Tradeoff, Upkeep


def tradeoff(option: str, usd: float | None, p95: float | None, exposed: float) -> Tradeoff:
    return Tradeoff(
        option=option,
        usd_per_month=usd,
        latency_p95_ms=p95,
        quality_loss=0.01,
        joules_per_request=None,
        far_share=exposed,
        exposed_share=exposed,
    )


def test_an_option_that_is_worse_in_all_is_beaten_by_name() -> None:
    edge, cloud, hybrid = mark_beaten(
        [
            tradeoff("edge", 200, 20, 0.0),
            tradeoff("cloud", 2000, 180, 1.0),
            tradeoff("hybrid", 100, 150, 0.2),
        ]
    )

    assert edge.beaten_by == hybrid.beaten_by == ()
    assert cloud.beaten_by == ("edge", "hybrid")


def test_what_is_not_known_decides_nothing_and_equals_do_not_beat() -> None:
    one, other = mark_beaten([tradeoff("edge", 200, None, 0.0), tradeoff("cloud", 200, 20, 0.0)])

    assert one.beaten_by == other.beaten_by == ()


def test_upkeep_is_the_plans_own_count_or_what_the_spec_says() -> None:
    rows = complexity(("edge", "cloud", "hybrid"), 0.0, {"hybrid": Upkeep(on_call_surface=5)})

    assert [row.on_call_surface for row in rows] == [1, 1, 5]
    assert [row.artifact_kinds for row in rows] == [2, 0, 3]
    assert [row.origin for row in rows] == ["assumed", "assumed", "given"]
    assert rows[0] == Complexity(
        option="edge",
        artifact_kinds=2,
        rollouts_per_month=1,
        on_call_surface=1,
        origin="assumed",
    )


def test_devices_are_rolled_out_to_as_often_as_the_costs_say() -> None:
    edge, cloud = complexity(("edge", "cloud"), 4.0, {})

    assert edge.rollouts_per_month == 4
    assert cloud.rollouts_per_month == 0


def test_each_turn_of_a_bent_bill_is_found_to_the_last_digit() -> None:
    # A flat 1,000 against 0.002 a request up to a million, then 0.0001, then 0.01.
    def difference(v: np.ndarray) -> np.ndarray:
        cheap = np.minimum(v, 1_000_000) * 0.002
        return np.asarray(1500 - cheap + np.maximum(v - 1_000_000, 0) * 0.001)

    assert crossings(difference, (1_000_000.0,)) == pytest.approx((750_000, 1_500_000))


def test_bills_that_never_meet_have_no_crossing() -> None:
    assert crossings(lambda v: v + 1) == ()
