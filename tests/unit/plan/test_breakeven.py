"""Break-even against sums by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import UsageError
from edgewise.plan import break_even
from edgewise.plan.latency import mixture_p95


def test_the_designs_example_equals_a_sum_by_hand() -> None:
    found = break_even(
        devices=1000,
        device_usd=80,
        lifetime_months=36,
        opex_usd_per_device_month=1.5,
        watts=5,
        usd_per_kwh=0.15,
        usd_per_request=0.002,
        fixed_usd=0,
    )

    monthly = 1000 * (80 / 36 + 1.5 + 5 / 1000 * 730 * 0.15)
    assert found.monthly_edge_usd == pytest.approx(monthly)
    assert found.requests_per_month == pytest.approx(monthly / 0.002)
    running = 1000 * (1.5 + 5 / 1000 * 730 * 0.15)
    assert found.payback_months(10e6) == pytest.approx(80_000 / (10e6 * 0.002 - running))


@given(st.floats(0, 1000), st.floats(0, 10), st.floats(1e-4, 1), st.integers(1, 10_000))
def test_at_break_even_both_cost_the_same(
    device_usd: float, opex: float, price: float, devices: int
) -> None:
    found = break_even(
        devices=devices,
        device_usd=device_usd,
        opex_usd_per_device_month=opex,
        usd_per_request=price,
    )

    assert found.requests_per_month is not None
    cloud = found.requests_per_month * price
    assert math.isclose(cloud, found.monthly_edge_usd, rel_tol=1e-9, abs_tol=1e-9)


def test_a_cloud_no_dearer_than_the_edge_never_breaks_even() -> None:
    found = break_even(device_usd=10, usd_per_request=0.001, edge_usd_per_request=0.001)

    assert found.requests_per_month is None
    assert "no more than" in found.reasons[0]
    assert found.payback_months(1e9) is None


def test_nothing_that_costs_anything_says_so() -> None:
    found = break_even()

    assert found.requests_per_month is None
    assert "neither" in found.reasons[0]
    assert found.payback_months(5) == 0.0


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"device_usd": -1.0}, "device_usd"),
        ({"watts": math.nan}, "watts"),
        ({"devices": 0}, "break_even"),
        ({"lifetime_months": 0}, "break_even"),
    ],
)
def test_impossible_numbers_are_named(arguments: dict[str, float], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        break_even(**arguments)  # type: ignore[arg-type]

    assert caught.value.where == where
    assert caught.value.hint


def test_a_negative_volume_is_refused() -> None:
    with pytest.raises(UsageError):
        break_even(usd_per_request=1).payback_months(-1)


def test_a_hybrid_between_its_tiers_is_between_their_latencies() -> None:
    edge, cloud = (2.0, 4.0), (60.0, 180.0)

    assert mixture_p95(edge, cloud, 0.0) == pytest.approx(4.0, rel=1e-6)
    assert mixture_p95(edge, cloud, 1.0) == pytest.approx(182.0, rel=1e-6)
    assert 4.0 < mixture_p95(edge, cloud, 0.08) < 182.0
    assert mixture_p95((5.0, 5.0), cloud, 0.0) == pytest.approx(5.0, rel=1e-6)
