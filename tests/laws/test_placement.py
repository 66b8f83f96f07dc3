"""What must hold of every placement: feasible, cheapest, and honest where there is none."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from placements import problems

from edgewise.plan.placement import Effort, check_placement, front, place, relaxed
from edgewise.plan.placement.constraints import constraints_of, without
from edgewise.plan.placement.reading import Choice, Chosen, assignments_of, pools_of, usd_of
from edgewise.plan.placement.routes import Book, Level, Route
from edgewise.records import Placement, PlacementAim, PlacementMethod, PlacementProblem

CLOSE = Effort(gap_share=1e-9)
AS_ONE = replace(CLOSE, separately=False)
LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def cost(placement: Placement) -> float:
    """Give the cost of a placement; infinite where there is none."""
    if placement.usd_per_month is None:
        return float("inf")
    return placement.usd_per_month


def best(problem: PlacementProblem, effort: Effort = CLOSE) -> float:
    return cost(place(problem, effort=effort, explain=False))


def no_more(value: float, than: float) -> bool:
    return value <= than + 1e-5 * max(1.0, abs(than))


@LAW
@given(problem=problems())
def test_every_placement_keeps_to_every_constraint(problem: PlacementProblem) -> None:
    placement = place(problem, explain=False)

    if placement.feasible:
        assert check_placement(problem, placement) == ()
        assert placement.bound_usd_per_month is not None
        assert no_more(placement.bound_usd_per_month, cost(placement))


@LAW
@given(problem=problems())
def test_the_shares_of_a_workload_sum_to_one(problem: PlacementProblem) -> None:
    placement = place(problem, explain=False)

    for work in problem.workloads:
        shares = [one.share for one in placement.assignments if one.workload == work.name]
        assert not placement.feasible or sum(shares) == pytest.approx(1.0, abs=1e-9)


@LAW
@given(problem=problems(shared=False))
def test_what_shares_nothing_is_enumerated_and_equals_the_programme(
    problem: PlacementProblem,
) -> None:
    apart = place(replace(problem, budget_usd_per_month=None, joules_per_month=None))
    together = replace(problem, budget_usd_per_month=None, joules_per_month=None)

    if apart.feasible and all(work.availability is None for work in problem.workloads):
        assert apart.method is PlacementMethod.ENUMERATION
    assert cost(apart) == pytest.approx(best(together, AS_ONE), rel=1e-6, abs=1e-6)


@LAW
@given(problem=problems())
def test_deciding_apart_what_shares_nothing_costs_nothing(problem: PlacementProblem) -> None:
    assert best(problem) == pytest.approx(best(problem, AS_ONE), rel=1e-5, abs=1e-5)


@LAW
@given(problem=problems(whole=True), data=st.data())
def test_the_optimum_is_what_trying_everything_finds(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    few = [replace(work, availability=None) for work in problem.workloads[:2]]
    pools = data.draw(st.just(problem.pools[:2]))
    names = {work.name for work in few}
    small = replace(
        problem,
        workloads=tuple(few),
        pools=pools,
        qualities=tuple(one for one in problem.qualities if one.workload in names),
        handovers=tuple(one for one in problem.handovers if one.workload in names),
    )

    assert best(small) == pytest.approx(by_trying_everything(small), rel=1e-6, abs=1e-6)


def by_trying_everything(problem: PlacementProblem) -> float:
    book = Book(problem)
    mine = [[one for one in book.routes if one.workload == w.name] for w in problem.workloads]
    least = float("inf")
    for routes in itertools.product(*mine):
        for levels in every_way_to_run(book, routes):
            chosen = tuple(Chosen(route=one, share=1.0, reserved=1.0) for one in routes)
            choice = Choice(chosen=chosen, levels=levels)
            assignments, pools = assignments_of(book, choice), pools_of(book, choice)
            usd = usd_of(book, assignments, pools)
            tried = Placement(
                name="tried",
                feasible=True,
                usd_per_month=usd,
                bound_usd_per_month=usd,
                gap_share=0.0,
                method=PlacementMethod.ENUMERATION,
                assignments=assignments,
                pools=pools,
            )
            if (
                usd < least
                and in_time(book, routes, levels)
                and not check_placement(problem, tried)
            ):
                least = usd
    return least


def every_way_to_run(book: Book, routes: Sequence[Route]) -> Iterator[dict[str, Level]]:
    used = {leg.pool for one in routes for leg in one.legs}
    finite = sorted(pool for pool in used if book.pools[pool].max_units is not None)
    for levels in itertools.product(*(book.levels(pool, book.routes) for pool in finite)):
        yield dict(zip(finite, levels, strict=True))


def in_time(book: Book, routes: Sequence[Route], levels: dict[str, Level]) -> bool:
    """Hold the p95 at the planned levels, which the checker, knowing the load, need not."""
    for one in routes:
        waits = 0.0
        for leg in one.legs:
            if leg.pool in levels:
                if levels[leg.pool].residual_ms < leg.residual_ms:
                    return False
                waits += levels[leg.pool].wait_ms
        limit = book.workloads[one.workload].latency_p95_ms
        if limit is not None and one.base_ms + waits > limit:
            return False
    return True


@LAW
@given(problem=problems())
def test_two_steps_keep_to_everything_and_their_bound_holds(problem: PlacementProblem) -> None:
    steps = place(problem, effort=replace(CLOSE, many_routes=0), explain=False)
    optimum = best(problem)

    assert steps.feasible == (optimum < float("inf"))
    if steps.feasible:
        assert check_placement(problem, steps) == ()
        assert no_more(optimum, cost(steps))
        assert no_more(steps.bound_usd_per_month or 0.0, optimum)


@LAW
@given(problem=problems(), data=st.data())
def test_one_more_option_never_raises_the_optimum(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["pools", "profiles", "qualities", "handovers"]))
    options = getattr(problem, kind)
    left_out = data.draw(st.integers(0, max(0, len(options) - 1)))
    fewer = replace(problem, **{kind: options[:left_out] + options[left_out + 1 :]})

    assert no_more(best(problem), best(fewer))


@LAW
@given(problem=problems(), data=st.data())
def test_a_relaxed_constraint_never_makes_it_worse(
    problem: PlacementProblem, data: st.DataObject
) -> None:
    every = constraints_of(problem)
    dropped = data.draw(st.lists(st.sampled_from(every), max_size=2, unique=True)) if every else []

    assert no_more(best(without(problem, dropped)), best(problem))


@LAW
@given(problem=problems())
def test_a_conflict_is_infeasible_and_no_fewer_constraints_are(problem: PlacementProblem) -> None:
    placement = place(problem)

    if placement.feasible:
        assert placement.conflict == ()
        return
    assert placement.conflict
    others = [one for one in constraints_of(problem) if one not in placement.conflict]
    bare = without(problem, others)
    assert not place(bare, explain=False).feasible
    for fewer in itertools.combinations(constraints_of(problem), len(placement.conflict) - 1):
        others = [one for one in constraints_of(problem) if one not in fewer]
        assert place(without(problem, others), explain=False).feasible


@LAW
@given(problem=problems())
def test_a_relaxation_makes_it_feasible_at_the_points_it_says(problem: PlacementProblem) -> None:
    placement = place(problem)

    if placement.relaxation_points is None:
        may_fail = any(work.kinds or work.regions for work in problem.workloads)
        assert placement.feasible or may_fail
        return
    moved = relaxed(problem, placement.relaxation)
    again = place(moved, explain=False)
    assert again.feasible
    assert check_placement(moved, again) == ()
    assert placement.relaxation_points == pytest.approx(
        sum(one.points for one in placement.relaxation)
    )
    assert all(one.points >= 0.0 for one in placement.relaxation)


@settings(LAW, max_examples=10)
@given(problem=problems())
def test_the_same_problem_gives_the_same_placement(problem: PlacementProblem) -> None:
    assert place(problem) == place(problem)


@settings(LAW, max_examples=10)
@given(problem=problems(limits=False))
def test_no_point_of_a_front_beats_another_and_the_cheapest_is_the_optimum(
    problem: PlacementProblem,
) -> None:
    points = front(problem, steps=2)

    values = [tuple(getattr(one, aim.value) for aim in PlacementAim) for one in points]
    for one, other in itertools.permutations(values, 2):
        assert any(a > b for a, b in zip(one, other, strict=True))
    cheapest = min((one.usd_per_month for one in points), default=float("inf"))
    assert cheapest == pytest.approx(best(problem), rel=1e-3, abs=1e-3)
