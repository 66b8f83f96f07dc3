"""Laws of the Pareto front."""

from hypothesis import given
from hypothesis import strategies as st

from edgewise.optimize.pareto import dominates, pareto_front

COSTS = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 3), max_size=12)


@given(COSTS)
def test_what_is_left_out_is_dominated_by_one_on_the_front(costs: list[tuple[float, ...]]) -> None:
    front = pareto_front(costs)

    for index, one in enumerate(costs):
        beaten = any(dominates(costs[other], one) for other in front)
        assert beaten is (index not in front)


@given(COSTS)
def test_the_front_is_its_own_front(costs: list[tuple[float, ...]]) -> None:
    kept = [costs[index] for index in pareto_front(costs)]

    assert pareto_front(kept) == tuple(range(len(kept)))


@given(COSTS.filter(bool))
def test_the_best_of_each_cost_is_on_the_front(costs: list[tuple[float, ...]]) -> None:
    front = pareto_front(costs)

    for axis in range(3):
        least = min(one[axis] for one in costs)
        assert any(costs[index][axis] == least for index in front)


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_nothing_dominates_itself(one: tuple[float, ...]) -> None:
    assert not dominates(one, one)
