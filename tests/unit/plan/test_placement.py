"""Placement: examples worked by hand, and what it says of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from placements import cut_problem, sharing_site, with_workload

from edgewise.errors import InvalidRecord, MissingExtra
from edgewise.plan.placement import Effort, check_placement, conflict, front, place, relaxed
from edgewise.plan.placement import highs as door
from edgewise.plan.placement.availability import reached
from edgewise.plan.placement.conflict import find_conflict
from edgewise.plan.placement.constraints import with_pool
from edgewise.plan.placement.highs import Outcome, Rows, solve
from edgewise.plan.placement.large import solve_large
from edgewise.plan.placement.optimum import Found
from edgewise.plan.placement.programme import fates_of, write
from edgewise.plan.placement.pruning import without_dominated
from edgewise.plan.placement.queueing import bucket, erlang_c, residual_ms, wait_p95_ms
from edgewise.plan.placement.routes import Book
from edgewise.records import (
    DeviceClass,
    Handover,
    Limit,
    ModelProfile,
    ModelQuality,
    Origin,
    Placement,
    PlacementAim,
    PlacementMethod,
    PlacementModel,
    PlacementProblem,
    PlacementTier,
    PlacementWorkload,
    Pool,
    RelaxationPrices,
    TierKind,
)


def test_what_is_dear_alone_is_cheap_when_shared() -> None:
    problem = sharing_site()
    alone = replace(problem, workloads=problem.workloads[:1], qualities=problem.qualities[:1])

    assert place(alone).usd_per_month == pytest.approx(20.0)
    shared = place(problem)
    assert shared.usd_per_month == pytest.approx(30.0)
    assert [one.units for one in shared.pools] == [1]
    assert shared.gap_share == 0.0


def odd_cycle() -> PlacementProblem:
    """Three rooms of 10 USD, three workloads, each of which two of the rooms may serve."""
    rooms = ("r0", "r1", "r2")
    return PlacementProblem(
        name="cycle",
        workloads=tuple(
            PlacementWorkload(
                name=f"w{at}",
                requests_per_month=1.0,
                peak_per_s=0.1,
                regions=(rooms[at], rooms[(at + 1) % 3]),
            )
            for at in range(3)
        ),
        tiers=tuple(PlacementTier(name=one, kind=TierKind.SITE, region=one) for one in rooms),
        device_classes=(DeviceClass(name="box"),),
        pools=tuple(
            Pool(tier=one, device_class="box", max_units=3, usd_per_month=10.0) for one in rooms
        ),
        models=(PlacementModel(name="m"),),
        profiles=(ModelProfile(model="m", device_class="box", mean_ms=10.0, p95_ms=20.0),),
        qualities=tuple(
            ModelQuality(workload=f"w{at}", model="m", value=0.9, low=0.9, high=0.9)
            for at in range(3)
        ),
    )


def test_the_optimum_is_found_where_rounding_the_linear_programme_misses_it() -> None:
    problem = odd_cycle()
    book = Book(problem)
    made = write(book, [one for one in book.routes if not book.broken(one)])
    made.rows.integers[:] = [False] * len(made.rows.integers)

    linear = solve(made.rows, seconds=10.0, gap_share=0.0)
    rounded_up = sum(10.0 for column in made.run.values() if linear.values[column] > 1e-6)

    assert linear.objective == pytest.approx(15.0)
    assert rounded_up == pytest.approx(30.0)
    assert place(problem).usd_per_month == pytest.approx(20.0)


def test_the_wait_of_one_server_is_the_closed_form() -> None:
    # M/M/1 at 80 %: P(W > t) = 0.8 exp(-t (1 - 0.8) / s).
    assert erlang_c(1, 0.8) == pytest.approx(0.8)
    assert wait_p95_ms(0.8, 1, residual_ms(10.0, 1.0, 1.0)) == pytest.approx(
        50.0 * math.log(0.8 / 0.05)
    )
    # Two servers at 50 %: Erlang C is 1/3.
    assert erlang_c(2, 0.5) == pytest.approx(1 / 3)
    assert wait_p95_ms(0.04, 1, 10.0) == 0.0
    assert bucket(5.0) == 8.0
    assert bucket(8.0) == 8.0
    assert bucket(0.0) == 0.0


def test_a_tight_p95_buys_machines_that_a_loose_one_does_not() -> None:
    # 8 requests a second of 100 ms keep 0.8 servers busy: one machine at 85 %, two at 50 %.
    busy = with_workload(
        with_workload(sharing_site(), "a", peak_per_s=8.0, kinds=(TierKind.SITE,)),
        "b",
        peak_per_s=0.001,
        kinds=(TierKind.SITE,),
    )
    tight = with_workload(busy, "a", latency_p95_ms=155.0 + 128.0 / 0.5 * math.log(10) + 1.0)

    assert [one.units for one in place(busy).pools] == [1]
    found = place(tight)
    assert [(one.units, one.planned_utilization) for one in found.pools] == [(2, 0.5)]
    assert any(one.constraint.limit is Limit.LATENCY for one in found.bindings)


def test_tiers_that_stand_in_reach_an_availability_that_none_has() -> None:
    base = sharing_site()
    alone = replace(base, workloads=base.workloads[:1], qualities=base.qualities[:1])
    problem = with_workload(alone, "a", availability=0.9999)

    found = place(problem)

    mine = [one for one in found.assignments if one.workload == "a"]
    assert {one.pools[0].split("/")[0] for one in mine} == {"site", "cloud"}
    assert all(one.reserved_share == pytest.approx(1.0) for one in mine)
    assert reached([frozenset({"site"}), frozenset({"cloud"})], 1, {"site": 0.99, "cloud": 0.999})
    assert check_placement(problem, found) == ()
    assert any(one.constraint.limit is Limit.AVAILABILITY for one in found.bindings)


def test_two_of_three_ways_up_is_a_binomial() -> None:
    fates = [frozenset({name}) for name in "abc"]

    found = reached(fates, 2, dict.fromkeys("abc", 0.9))

    assert found == pytest.approx(3 * 0.81 * 0.1 + 0.729)


def test_a_conflict_names_its_constraints_and_the_cheapest_way_out() -> None:
    problem = with_workload(
        sharing_site(), "a", latency_p95_ms=100.0, quality_floor=0.85, kinds=(TierKind.SITE,)
    )

    found = place(problem)

    assert not found.feasible
    assert [one.limit for one in found.conflict] == [Limit.LATENCY]
    assert "p95 of at most 100 ms" in found.reasons[0]
    # The box answers in 155 ms at best, at a utilisation at which nothing waits.
    (given,) = found.relaxation
    assert given.after == pytest.approx(155.0)
    assert found.relaxation_points == pytest.approx(0.55)
    assert given.text == "a: latency from 100 ms to 155 ms (0.55 points)"
    assert place(relaxed(problem, found.relaxation)).feasible


def test_numbers_that_look_like_another_unit_are_warned_of() -> None:
    near, far = sharing_site().profiles
    strange = replace(
        with_workload(sharing_site(), "a", latency_p95_ms=0.4),
        profiles=(
            replace(near, usd_per_request=1e-8, mean_ms=0.001, p95_ms=0.002),
            replace(far, usd_per_request=2.0),
        ),
        usd_per_kwh=15.0,
    )
    strange = with_workload(strange, "b", requests_per_month=0)
    calm = with_workload(sharing_site(), "b", requests_per_month=7_884_000, peak_per_s=2.5)

    found = place(strange, explain=False)

    assert found.warnings == (
        "m on box: usd_per_request: 1e-08 USD looks like the price of a token",
        "m on box: a p95 of 0.002 ms looks like seconds",
        "m on rented: usd_per_request: 2 USD looks like the price of a thousand or a million "
        "requests",
        "a: a p95 of at most 0.4 ms looks like seconds",
        "b: there are no requests",
        "usd_per_kwh: 15 USD looks like cents",
    )
    elastic = with_pool(sharing_site(), "site/box", max_units=None)
    uncounted = "site/box: machines without max_units are elastic: their price is not counted"
    assert place(elastic, explain=False).warnings == (uncounted,)
    below = "b: peak_per_s of 2.5 is below the month's mean of 3"
    assert place(calm, explain=False).warnings == (below,)
    assert place(sharing_site(), explain=False).warnings == ()


def test_a_problem_in_which_nothing_costs_anything_is_warned_of() -> None:
    base = sharing_site()
    free = replace(
        base,
        device_classes=tuple(replace(one, usd_per_month=0.0) for one in base.device_classes),
        profiles=tuple(replace(one, usd_per_request=0.0, joules=0.0) for one in base.profiles),
    )

    (warning,) = place(free, explain=False).warnings

    assert warning.startswith("nothing has a price")


def two_conflicts() -> PlacementProblem:
    """Two constraints of `a` conflict, and one of `b` by itself."""
    slow = with_workload(sharing_site(), "a", latency_p95_ms=170.0, kinds=(TierKind.CLOUD,))
    return with_workload(slow, "b", quality_floor=0.99)


def test_of_several_conflicts_the_smallest_is_named_and_all_are_relaxed() -> None:
    problem = two_conflicts()

    found = place(problem)

    assert [(one.limit, one.subject) for one in found.conflict] == [(Limit.QUALITY, "b")]
    assert len(found.reasons) == 1
    assert place(relaxed(problem, found.relaxation)).feasible


def test_a_conflict_for_which_not_all_was_tried_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflict, "_LEAST_SOLVES", 0)
    monkeypatch.setattr(conflict, "_WAYS_SOLVED", 0)

    found = place(two_conflicts())

    assert {(one.limit, one.subject) for one in found.conflict} == {
        (Limit.LATENCY, "a"),
        (Limit.KINDS, "a"),
    }
    assert found.reasons[1] == "not all were tried: fewer constraints may conflict too"


def test_residency_that_shuts_a_cheaper_way_binds() -> None:
    found = place(with_workload(sharing_site(), "a", kinds=(TierKind.CLOUD,)))

    (bound,) = [one for one in found.bindings if one.constraint.limit is Limit.KINDS]
    assert "its requests may not go there" in bound.text


def test_memory_that_shuts_a_cheaper_way_binds() -> None:
    near, far = sharing_site().profiles
    found = place(sharing_site(profiles=(replace(near, peak_memory_bytes=2000), far)))

    (bound,) = [one for one in found.bindings if one.constraint.limit is Limit.MEMORY]
    assert "it shuts m on site/box" in bound.text
    assert "box has too little memory" in bound.text


def test_too_few_machines_conflict_with_residency() -> None:
    problem = sharing_site(
        pools=(
            Pool(tier="site", device_class="box", max_units=1),
            Pool(tier="cloud", device_class="rented"),
        )
    )
    problem = with_workload(problem, "a", peak_per_s=12.0, kinds=(TierKind.SITE,))

    found = place(problem)

    assert {one.limit for one in found.conflict} == {Limit.UNITS, Limit.KINDS}
    assert place(relaxed(problem, found.relaxation)).feasible
    (given,) = found.relaxation
    assert (given.before, given.after, given.unit) == (1.0, 2.0, "machines")
    assert given.text == "site/box: number from 1 machines to 2 machines (1 points)"


@pytest.mark.parametrize(
    ("change", "limit", "text"),
    [
        ({"budget_usd_per_month": 15.0}, Limit.BUDGET, "at most 15.00 USD a month in all"),
        ({"joules_per_month": 0.0}, None, ""),
    ],
)
def test_totals_bind_and_give_way(change: dict[str, float], limit: Limit | None, text: str) -> None:
    problem = sharing_site(**change)

    found = place(problem)

    if limit is None:
        assert found.feasible
        return
    assert [one.limit for one in found.conflict] == [limit]
    assert found.conflict[0].text == text
    assert place(relaxed(problem, found.relaxation)).usd_per_month == pytest.approx(30.0)


def test_energy_gives_way_where_it_is_all_that_stands_in_the_way() -> None:
    dear = replace(sharing_site().profiles[0], joules=360.0)
    problem = sharing_site(profiles=(dear,), joules_per_month=3.6e6)

    found = place(problem)

    assert [one.limit for one in found.conflict] == [Limit.ENERGY]
    assert found.relaxation[0].text == "energy from 1 kWh to 2 kWh (1 points)"
    assert found.conflict[0].text == "at most 1 kWh of inference a month"


def test_memory_counts_models_together_and_gives_way() -> None:
    two = sharing_site(
        models=(PlacementModel(name="m", size_bytes=400), PlacementModel(name="n", size_bytes=700)),
        profiles=(
            sharing_site().profiles[0],
            replace(sharing_site().profiles[0], model="n"),
        ),
        qualities=(
            sharing_site().qualities[0],
            replace(sharing_site().qualities[1], model="n"),
        ),
    )

    found = place(two)

    assert place(two, effort=Effort(many_routes=0)) == found
    assert {one.limit for one in found.conflict} <= {Limit.MEMORY, Limit.STORAGE}
    assert {one.constraint.limit: one.after for one in found.relaxation} == {
        Limit.MEMORY: pytest.approx(1600, abs=2),
        Limit.STORAGE: pytest.approx(1100, abs=2),
    }
    assert place(relaxed(two, found.relaxation)).feasible


def test_an_elastic_machine_must_hold_a_model_too() -> None:
    small = (DeviceClass(name="box"), DeviceClass(name="rented", memory_bytes=10))
    problem = sharing_site(
        device_classes=small,
        pools=(Pool(tier="cloud", device_class="rented"),),
        profiles=(replace(sharing_site().profiles[1], peak_memory_bytes=50),),
    )

    found = place(problem)

    assert [one.limit for one in found.conflict] == [Limit.MEMORY]
    assert found.relaxation[0].after == pytest.approx(50, abs=1)
    stored = replace(
        problem, device_classes=(small[0], DeviceClass(name="rented", storage_bytes=9))
    )
    assert [one.limit for one in place(stored).conflict] == [Limit.STORAGE]
    never = replace(problem, prices=RelaxationPrices(memory=None))
    assert place(never).relaxation_points is None
    assert "no relaxation" in place(never).reasons[-1]


def test_residency_gives_way_only_where_it_has_a_price() -> None:
    problem = with_workload(sharing_site(), "a", regions=("eu",))

    kept = place(problem)
    priced = replace(problem, prices=RelaxationPrices(regions=2.0))

    assert kept.relaxation == ()
    assert kept.relaxation_points is None
    found = place(priced)
    assert found.relaxation[0].text == "a: let all regions see its requests (2 points)"
    assert place(relaxed(priced, found.relaxation)).feasible


def test_a_deadline_of_a_day_plans_for_the_mean_and_gives_way_as_latency() -> None:
    work = sharing_site().workloads[0]
    late = replace(work, deadline_s=86_400.0)

    assert late.planned_per_s == pytest.approx(10_000 / (730 * 3600))
    assert work.planned_per_s == 1.0
    assert replace(work, peak_per_s=None).planned_per_s == pytest.approx(4 * work.mean_per_s)
    problem = with_workload(sharing_site(), "a", deadline_s=0.05, latency_p95_ms=1000.0)
    found = place(problem)
    assert found.conflict[0].text == "a: p95 of at most 1 s and an answer within 0.05 s"
    assert place(relaxed(problem, found.relaxation)).feasible
    only = with_workload(sharing_site(), "a", deadline_s=0.05)
    assert place(relaxed(only, place(only).relaxation)).feasible
    day = with_workload(sharing_site(), "a", deadline_s=86_400.0, quality_floor=0.99)
    assert [one.limit for one in place(day).conflict] == [Limit.QUALITY]


def test_a_workload_without_any_model_is_said() -> None:
    found = place(sharing_site(qualities=sharing_site().qualities[:1]))

    assert not found.feasible
    assert found.reasons == ("b: no model has a quality and a profile for it",)


def test_traffic_that_nothing_can_carry_is_said() -> None:
    problem = sharing_site(
        tiers=tuple(replace(one, availability=0.0) for one in sharing_site().tiers)
    )
    problem = with_workload(problem, "a", availability=0.5)

    found = place(problem)

    assert [one.limit for one in found.conflict] == [Limit.AVAILABILITY]
    assert found.relaxation[0].after == 0.0


def test_a_front_holds_the_cheapest_and_the_most_private() -> None:
    problem = with_workload(sharing_site(), "a", kinds=())
    problem = replace(
        problem,
        tiers=(replace(problem.tiers[0], kind=TierKind.DEVICE), problem.tiers[1]),
        device_classes=(
            replace(problem.device_classes[0], usd_per_month=100.0),
            problem.device_classes[1],
        ),
    )

    points = front(problem, aims=(PlacementAim.USD, PlacementAim.EXPOSURE))

    assert points[0].usd_per_month == pytest.approx(40.0)
    assert points[0].exposed_share == pytest.approx(1.0)
    assert points[-1].exposed_share == pytest.approx(0.0)
    assert points[-1].usd_per_month == pytest.approx(100.0)
    assert front(with_workload(problem, "a", quality_floor=0.99)) == ()
    assert front(replace(problem, budget_usd_per_month=1.0)) == ()


def test_a_dominated_way_is_left_out_unless_its_model_is_shared() -> None:
    base = sharing_site(pools=(Pool(tier="site", device_class="box", max_units=4),))
    slower = replace(base.profiles[0], model="n", mean_ms=200.0, peak_memory_bytes=900)
    problem = replace(
        base,
        models=(*base.models, PlacementModel(name="n", size_bytes=500)),
        profiles=(*base.profiles, slower),
        qualities=(
            *base.qualities,
            ModelQuality(workload="a", model="n", value=0.9, low=0.9, high=0.9),
        ),
    )
    book = Book(problem)
    shared = Book(
        replace(
            problem,
            qualities=(
                *problem.qualities,
                ModelQuality(workload="b", model="n", value=0.9, low=0.9, high=0.9),
            ),
        )
    )

    assert {one.legs[0].model for one in without_dominated(book, book.routes)} == {"m"}
    assert {one.legs[0].model for one in without_dominated(shared, shared.routes)} == {"m", "n"}


def twelve_tiers(**asked: float) -> PlacementProblem:
    tiers = [f"t{at}" for at in range(12)]
    base = sharing_site()
    return replace(
        base,
        workloads=(replace(base.workloads[0], **asked),),  # type: ignore[arg-type] # by name
        qualities=base.qualities[:1],
        tiers=tuple(PlacementTier(name=t, kind=TierKind.SITE, availability=0.99) for t in tiers),
        pools=tuple(Pool(tier=t, device_class="box", max_units=2) for t in tiers),
    )


def test_few_fates_are_weighed_the_smallest_first() -> None:
    problem = twelve_tiers(availability=0.9999)

    found = place(problem)

    assert len(fates_of(Book(problem).routes)) == 8
    assert len(found.pools) == 2
    assert check_placement(problem, found) == ()


def test_time_that_runs_out_is_not_infeasibility() -> None:
    found = place(sharing_site(), effort=Effort(seconds=0.0))

    assert not found.feasible
    assert found.conflict == ()
    assert "within 0 s" in found.reasons[0]


def test_a_small_part_has_time_beside_many_ways_that_take_none() -> None:
    base = sharing_site()
    apis = tuple(DeviceClass(name=f"api{at}") for at in range(30))
    many = tuple(PlacementWorkload(name=f"w{at}", requests_per_month=1.0) for at in range(100))
    problem = replace(
        base,
        workloads=(*base.workloads, *many),
        device_classes=(*base.device_classes, *apis),
        pools=(*base.pools, *(Pool(tier="cloud", device_class=one.name) for one in apis)),
        models=(*base.models, PlacementModel(name="free")),
        profiles=(
            *base.profiles,
            *(
                ModelProfile(model="free", device_class=one.name, mean_ms=1.0, p95_ms=1.0)
                for one in apis
            ),
        ),
        qualities=(
            *base.qualities,
            *(
                ModelQuality(workload=one.name, model="free", value=0.9, low=0.9, high=0.9)
                for one in many
            ),
        ),
    )

    found = place(problem, effort=Effort(seconds=0.1), explain=False)

    assert found.usd_per_month == pytest.approx(30.0)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)

    with pytest.raises(MissingExtra) as caught:
        place(sharing_site())

    assert "scipy" in caught.value.what
    assert caught.value.hint == 'pip install "edgewise[plan]"'


def test_an_empty_programme_and_an_infeasible_one_are_told_apart() -> None:
    rows = Rows()
    column = rows.column(cost=1.0, integer=True)
    assert solve(rows, seconds=1.0, gap_share=0.0).objective == 0.0

    rows.row({column: 1.0}, low=2.0)

    assert solve(rows, seconds=1.0, gap_share=0.0).outcome is Outcome.INFEASIBLE
    assert door.Solved(outcome=Outcome.UNDECIDED, values=np.zeros(0)).objective == 0.0


def broken(placement: Placement, problem: PlacementProblem) -> str:
    return "; ".join(check_placement(problem, placement))


def test_the_checker_finds_what_is_broken() -> None:
    problem = sharing_site()
    found = place(problem)
    first, second = found.assignments
    (use,) = found.pools

    halved = replace(found, assignments=(replace(first, share=0.5), second))
    assert "shares sum to 0.5" in broken(halved, problem)
    less = replace(found, assignments=(replace(first, reserved_share=0.1), second))
    assert "reserves less" in broken(less, problem)
    assert "machines" in broken(replace(found, pools=(replace(use, units=9),)), problem)
    assert "is said" in broken(replace(found, usd_per_month=1.0), problem)
    for changes, words in (
        ({"budget_usd_per_month": 1.0}, "of a budget"),
        (
            {
                "device_classes": (
                    DeviceClass(name="box", memory_bytes=1),
                    DeviceClass(name="rented"),
                )
            },
            "memory of 800",
        ),
        (
            {
                "device_classes": (
                    DeviceClass(name="box", storage_bytes=1),
                    DeviceClass(name="rented"),
                )
            },
            "storage of 400",
        ),
    ):
        assert words in broken(found, replace(problem, **changes))
    joules = replace(problem, profiles=(replace(problem.profiles[0], joules=1.0),))
    assert "joules" in broken(found, replace(joules, joules_per_month=1.0))
    for asked, words in (
        ({"peak_per_s": 30.0}, "overloaded"),
        ({"quality_floor": 0.95}, "quality may be as low"),
        ({"latency_p95_ms": 10.0}, "p95 is"),
        ({"kinds": (TierKind.CLOUD,)}, "a kind of tier"),
        ({"regions": ("eu",)}, "a region"),
        ({"availability": 0.9999}, "of the time"),
    ):
        assert words in broken(found, with_workload(problem, "a", **asked))
    split = replace(
        found,
        assignments=(
            replace(first, share=0.5),
            replace(first, share=0.5, pools=("cloud/rented",)),
            second,
        ),
    )
    assert "not among the pools" in broken(split, problem)
    rented = replace(use, pool="cloud/rented", units=None, usd_per_month=0.0)
    split = replace(split, pools=(use, rented))
    whole = with_workload(problem, "a", splittable=False, budget_usd_per_month=1.0)
    assert "split" in broken(split, whole)
    assert "costs 10" in broken(split, whole)


def test_figures_say_what_was_assumed() -> None:
    problem = with_workload(sharing_site(), "a", peak_per_s=None, arrival_cv2=3.0)

    figures = {one.name: one for one in place(problem).figures}

    assert figures["a: planned rate"].origin is Origin.ASSUMED
    assert figures["b: planned rate"].origin is Origin.GIVEN
    assert figures["a: variation of gaps between requests"].origin is Origin.GIVEN
    assert figures["b: variation of gaps between requests"].source == "Poisson arrivals"
    assert figures["m on box: peak memory"].origin is Origin.MEASURED


def test_memory_and_storage_that_nothing_is_held_against_are_doubted() -> None:
    near, far = sharing_site().profiles
    unknown = sharing_site(
        models=(PlacementModel(name="m"),), profiles=(replace(near, peak_memory_bytes=0), far)
    )

    assert place(unknown, explain=False).warnings == (
        "m on box: no `memory` and no `size` is given, so it is taken to need none",
        "m on box: no `size` is given, so it is taken to need no storage",
    )


def test_a_relaxation_is_found_beyond_the_nearest_steps() -> None:
    base = sharing_site()
    names = [f"far{at}" for at in range(14)]
    problem = replace(
        base,
        workloads=(replace(base.workloads[0], quality_floor=0.95, kinds=(TierKind.SITE,)),),
        models=(*base.models, *(PlacementModel(name=one) for one in names)),
        profiles=(
            base.profiles[0],
            *(replace(base.profiles[1], model=one, usd_per_request=0.0) for one in names),
        ),
        qualities=(
            ModelQuality(workload="a", model="m", value=0.5, low=0.4, high=0.6),
            *(
                ModelQuality(workload="a", model=one, value=0.95, low=0.9 - at / 100, high=0.95)
                for at, one in enumerate(names)
            ),
        ),
    )

    found = place(problem)

    # What is nearest may not be seen by the cloud; the site's model is the fifteenth step away.
    assert [(one.constraint.limit, one.after) for one in found.relaxation] == [(Limit.QUALITY, 0.4)]


def test_what_may_be_a_day_late_is_said_to_be_planned_at_the_mean() -> None:
    late = with_workload(sharing_site(), "a", deadline_s=86_400.0)
    late = with_workload(late, "b", deadline_s=86_400.0, peak_per_s=None)

    figures = {one.name: one for one in place(late).figures}

    for name in ("a", "b"):
        said = figures[f"{name}: planned rate"]
        assert said.value == pytest.approx(10_000 / (730 * 3600))
        assert said.origin is Origin.GIVEN
        assert said.source == "the month's mean, for answers may be a day late"


def test_the_price_of_a_request_to_an_elastic_cloud_has_its_energy_in_it() -> None:
    base = sharing_site(usd_per_kwh=0.5)
    hungry = replace(base.profiles[1], joules=3.6e6)
    problem = replace(
        base,
        workloads=base.workloads[:1],
        qualities=base.qualities[:1],
        profiles=(replace(base.profiles[0], joules=3.6e3), hungry),
    )
    own = with_workload(problem, "a", kinds=(TierKind.SITE,))

    far, near = place(problem), place(own)

    # 10,000 requests of 0.002 USD; near, a machine of 30 USD and 0.001 kWh a request.
    assert far.usd_per_month == pytest.approx(20.0)
    assert far.joules_per_month == pytest.approx(3.6e10)
    assert near.usd_per_month == pytest.approx(30.0 + 10_000 * 0.001 * 0.5)
    assert check_placement(problem, far) == check_placement(own, near) == ()


@pytest.mark.parametrize("splittable", [True, False])
def test_machines_that_are_owned_use_power(splittable: bool) -> None:
    base = sharing_site(usd_per_kwh=0.1)
    alone = replace(
        base,
        workloads=(
            replace(
                base.workloads[0], splittable=splittable, kinds=(TierKind.SITE,), peak_per_s=15.0
            ),
        ),
        qualities=base.qualities[:1],
        device_classes=(replace(base.device_classes[0], watts=1000.0), base.device_classes[1]),
        pools=(replace(base.pools[0], owned_units=1), base.pools[1]),
        utilizations=(0.8,),
    )

    found = place(alone)

    # 1.5 servers' work at 0.8 takes two machines of 73 USD of power, one of them bought for 30.
    assert [one.units for one in found.pools] == [2]
    assert found.usd_per_month == pytest.approx(2 * 73.0 + 30.0)
    assert check_placement(alone, found) == ()


def test_without_explanations_only_the_outcome_is_given() -> None:
    problem = with_workload(sharing_site(), "a", quality_floor=0.99)

    found = place(problem, explain=False)

    assert not found.feasible
    assert found.conflict == ()
    assert found.method is PlacementMethod.PROGRAMME


def test_a_whole_workload_alone_is_enumerated_over_its_machines() -> None:
    base = sharing_site()
    problem = replace(
        base,
        workloads=(replace(base.workloads[0], splittable=False, kinds=(TierKind.SITE,)),),
        qualities=base.qualities[:1],
    )

    assert place(problem).method is PlacementMethod.ENUMERATION
    assert place(problem).usd_per_month == pytest.approx(30.0)
    few = replace(problem, pools=(Pool(tier="site", device_class="box", max_units=1),))
    full = with_workload(few, "a", peak_per_s=50.0)
    assert [one.limit for one in place(full).conflict] == [Limit.UNITS]
    poor = with_workload(problem, "a", budget_usd_per_month=1.0, kinds=(TierKind.CLOUD,))
    found = place(poor)
    assert [one.limit for one in found.conflict] == [Limit.WORKLOAD_BUDGET, Limit.KINDS] or [
        one.limit for one in found.conflict
    ] == [Limit.KINDS, Limit.WORKLOAD_BUDGET]
    assert found.relaxation[0].unit == "USD a month"


def test_a_handover_within_a_tier_has_no_network() -> None:
    base = sharing_site()
    problem = replace(
        base,
        device_classes=(*base.device_classes, DeviceClass(name="big", usd_per_month=5.0)),
        pools=(*base.pools, Pool(tier="site", device_class="big", max_units=2)),
        models=(*base.models, PlacementModel(name="n")),
        profiles=(
            *base.profiles,
            ModelProfile(model="n", device_class="big", mean_ms=50.0, p95_ms=60.0),
        ),
        handovers=(
            Handover(workload="a", near="m", far="n", share=0.3, value=0.97, low=0.96, high=0.98),
        ),
    )
    problem = with_workload(problem, "a", quality_floor=0.95, latency_p95_ms=2000.0)

    found = place(problem)

    way = next(one for one in found.assignments if one.workload == "a")
    assert way.pools == ("site/box", "site/big")
    assert way.far_share == 0.3
    waits = [
        wait_p95_ms(one.planned_utilization or 0.0, 1, one.residual_ms or 0.0)
        for one in found.pools
    ]
    assert way.latency_p95_ms == pytest.approx(5.0 + 150.0 + 60.0 + sum(waits))
    assert check_placement(problem, found) == ()


@pytest.mark.parametrize(
    ("make", "what", "where"),
    [
        (lambda: PlacementWorkload(name="a", requests_per_month=-1.0), "no amount", "a.requests"),
        (lambda: PlacementWorkload(name="a", requests_per_month=math.nan), "nan", "a.requests"),
        (
            lambda: PlacementWorkload(name="a", requests_per_month=1.0, peak_per_s=0.0),
            "above 0",
            "a.peak_per_s",
        ),
        (
            lambda: PlacementWorkload(name="a", requests_per_month=1.0, quality_floor=2.0),
            "no share",
            "a.quality_floor",
        ),
        (
            lambda: PlacementWorkload(name="a", requests_per_month=1.0, availability=1.0),
            "always up",
            "PlacementWorkload a",
        ),
        (
            lambda: PlacementWorkload(name="a", requests_per_month=1.0, arrival_cv2=0.5),
            "arrival_cv2 is 0.5",
            "PlacementWorkload a",
        ),
        (
            lambda: Pool(tier="t", device_class="d", min_units=3, max_units=2),
            "min_units is 3",
            "Pool t/d",
        ),
        (
            lambda: ModelQuality(workload="a", model="m", value=0.5, low=0.6, high=0.7),
            "interval 0.6",
            "ModelQuality",
        ),
        (lambda: sharing_site(utilizations=(1.0,)), "not shares", "sharing.utilizations"),
        (
            lambda: sharing_site(models=(*sharing_site().models, *sharing_site().models)),
            "model given twice: m",
            "PlacementProblem",
        ),
        (
            lambda: sharing_site(pools=(Pool(tier="moon", device_class="box"),)),
            "unknown tier: moon",
            "pool moon/box",
        ),
        (
            lambda: replace(
                cut_problem(), cuts=(replace(cut_problem().cuts[0], near="rented", far="none"),)
            ),
            "no profile on none",
            "cuts of model m for workload a",
        ),
        (
            lambda: replace(cut_problem(), qualities=()),
            "has no quality",
            "cuts of model m for workload a",
        ),
    ],
)
def test_a_record_that_can_not_be_says_what_where_and_how(
    make: object, what: str, where: str
) -> None:
    assert callable(make)

    with pytest.raises(InvalidRecord) as caught:
        make()

    assert what in caught.value.what
    assert where in caught.value.where
    assert caught.value.hint


def test_two_steps_widen_where_memory_shuts_the_pools_of_the_first() -> None:
    # The first step, which knows no memory, puts both models on the cheap box; they need two.
    base = sharing_site()
    problem = replace(
        base,
        device_classes=(base.device_classes[0], replace(base.device_classes[0], name="box2")),
        pools=(
            Pool(tier="site", device_class="box", max_units=4),
            Pool(tier="site", device_class="box2", max_units=4, usd_per_month=5.0),
        ),
        models=(PlacementModel(name="m"), PlacementModel(name="n")),
        profiles=tuple(
            replace(base.profiles[0], model=model, device_class=at)
            for model in "mn"
            for at in ("box", "box2")
        ),
        qualities=(base.qualities[0], replace(base.qualities[1], model="n")),
    )

    found = place(problem, effort=Effort(many_routes=0))

    assert found.usd_per_month == pytest.approx(65.0)
    assert {one.constraint.limit for one in found.bindings} == {Limit.MEMORY}
    assert "20% is left beside" in found.bindings[0].text


@pytest.mark.parametrize(
    ("limit", "changes"),
    [
        (Limit.LATENCY, {"deadline_s": 0.8}),
        (Limit.STORAGE, {}),
    ],
)
def test_whatever_costs_more_for_being_kept_binds(limit: Limit, changes: dict[str, float]) -> None:
    base = sharing_site()
    box = replace(base.device_classes[0], memory_bytes=None, storage_bytes=1000)
    problem = replace(
        base,
        device_classes=(
            box if limit is Limit.STORAGE else base.device_classes[0],
            DeviceClass(name="rented"),
        ),
        models=(PlacementModel(name="m", size_bytes=600), PlacementModel(name="n", size_bytes=600)),
        profiles=(*base.profiles, *(replace(one, model="n") for one in base.profiles)),
        qualities=(base.qualities[0], replace(base.qualities[1], model="n")),
    )
    if limit is not Limit.STORAGE:
        problem = with_workload(base, "b", peak_per_s=7.0)

    problem = with_workload(problem, "a", splittable=False, **changes)
    found = place(with_workload(problem, "b", splittable=False))

    bound = {one.constraint.limit: one for one in found.bindings}
    assert bound[limit].saves_usd_per_month == pytest.approx(10.0)


def test_an_availability_that_one_dear_tier_reaches_binds() -> None:
    base = sharing_site()
    near, far = base.profiles
    problem = replace(
        base,
        workloads=(replace(base.workloads[0], availability=0.995),),
        qualities=base.qualities[:1],
        device_classes=(
            base.device_classes[0],
            DeviceClass(name="rented", usd_per_month=40.0),
        ),
        pools=(base.pools[0], replace(base.pools[1], max_units=4)),
        profiles=(near, replace(far, usd_per_request=0.0)),
    )

    found = place(problem)

    assert [one.pools for one in found.assignments] == [("cloud/rented",)]
    (binding,) = found.bindings
    assert (binding.constraint.limit, binding.text) == (
        Limit.AVAILABILITY,
        "what costs less would break it",
    )
    assert binding.saves_usd_per_month == pytest.approx(10.0)


def test_a_budget_with_room_does_not_bind_among_many_ways() -> None:
    base = sharing_site(budget_usd_per_month=1000.0)
    names = [f"m{at}" for at in range(151)]
    problem = replace(
        base,
        pools=base.pools[1:],
        models=tuple(PlacementModel(name=one) for one in names),
        profiles=tuple(replace(base.profiles[1], model=one) for one in names),
        qualities=tuple(replace(one, model=name) for one in base.qualities for name in names),
    )

    found = place(problem)

    assert found.usd_per_month == pytest.approx(40.0)
    assert found.bindings == ()


def test_energy_that_is_used_up_binds() -> None:
    base = sharing_site()
    lean = replace(base.profiles[0], joules=1.0, usd_per_request=0.001)
    problem = sharing_site(profiles=(lean, base.profiles[1]), joules_per_month=20_000.0)

    found = place(problem)

    assert found.feasible
    tight = replace(
        problem,
        profiles=(
            replace(lean, joules=0.5, usd_per_request=0.003),
            replace(base.profiles[1], joules=2.0),
        ),
        joules_per_month=25_000.0,
        device_classes=(
            replace(base.device_classes[0], usd_per_month=100.0),
            DeviceClass(name="rented"),
        ),
    )
    split = place(tight)
    assert any(one.constraint.limit is Limit.ENERGY for one in split.bindings)


def test_a_budget_that_binds_says_what_is_left() -> None:
    problem = with_workload(sharing_site(budget_usd_per_month=31.0), "a", budget_usd_per_month=20.0)
    assert place(problem).feasible
    dear = replace(
        problem,
        device_classes=(
            replace(problem.device_classes[0], usd_per_month=60.0),
            DeviceClass(name="rented"),
        ),
        budget_usd_per_month=40.0,
    )
    assert place(dear).usd_per_month == pytest.approx(40.0)


def test_what_machines_can_not_carry_whatever_is_relaxed_is_said() -> None:
    base = sharing_site(
        pools=(Pool(tier="site", device_class="box", max_units=1),),
        prices=RelaxationPrices(units=None),
    )
    hopeless = with_workload(base, "a", peak_per_s=1e12)

    found = place(hopeless)

    assert found.conflict == () or {one.limit for one in found.conflict} == {Limit.UNITS}
    assert found.relaxation_points is None


def test_doubt_about_a_conflict_is_said() -> None:
    problem = with_workload(sharing_site(), "a", quality_floor=0.99)

    found = find_conflict(
        problem, Found(outcome=Outcome.INFEASIBLE, culprits=("a", "b")), Effort(seconds=0.0)
    )

    assert [one.limit for one in found.constraints] == [Limit.QUALITY]
    assert not found.is_irreducible


def test_a_conflict_that_may_be_smaller_says_so() -> None:
    problem = twelve_tiers(availability=0.9999, quality_floor=0.99)

    found = place(problem, effort=Effort(seconds=0.0))

    assert found.conflict
    assert found.reasons[1] == "time ran out: some of these may be spared"


def test_many_steps_of_a_latency_are_thinned_and_still_enough() -> None:
    base = sharing_site(utilizations=tuple(at / 20 for at in range(1, 20)))
    problem = with_workload(base, "a", latency_p95_ms=1.0)

    found = place(problem)

    assert place(relaxed(problem, found.relaxation)).feasible


def test_two_steps_give_nothing_where_the_first_finds_nothing_in_its_time() -> None:
    book = Book(sharing_site())

    found = solve_large(book, without_dominated(book, book.routes), seconds=0.0, gap_share=0.0)

    assert found is None
