"""Break-even against sums by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import UsageError
from edgewise.plan import break_even, fleets_at


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
        ({"device_usd": None}, "device_usd"),
        ({"usd_per_request": "0.002"}, "usd_per_request"),
        ({"devices": 1e300, "device_usd": 1e300}, "break_even"),
        ({"devices": 0}, "break_even"),
        ({"lifetime_months": 0}, "break_even"),
    ],
)
def test_impossible_numbers_are_named(arguments: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        break_even(**arguments)

    assert caught.value.where == where
    assert caught.value.hint


@pytest.mark.parametrize("volume", [-1, None])
def test_a_volume_that_is_none_is_refused(volume: Any) -> None:
    with pytest.raises(UsageError):
        break_even(usd_per_request=1).payback_months(volume)


def test_an_answer_flips_at_the_fleet_and_the_price_at_which_both_cost_the_same() -> None:
    arguments = {"device_usd": 80.0, "lifetime_months": 36, "opex_usd_per_device_month": 1.5}
    found = break_even(devices=1000, usd_per_request=0.002, fixed_usd=9000, **arguments)

    flip = found.flips(3_000_000)

    assert flip.devices is not None
    assert flip.device_usd is not None
    assert flip.reasons == ()
    for changed in ({"devices": flip.devices}, {"devices": 1000, "device_usd": flip.device_usd}):
        there = break_even(usd_per_request=0.002, fixed_usd=9000, **{**arguments, **changed})
        assert there.requests_per_month == pytest.approx(3_000_000)
    assert flip.payback_months == pytest.approx(89_000 / (6000 - 1500))


def test_a_volume_too_small_for_any_fleet_says_so() -> None:
    flip = break_even(devices=10, usd_per_request=0.002, fixed_usd=2400).flips(1000)

    assert (flip.devices, flip.device_usd) == (None, None)
    assert flip.payback_months == pytest.approx(1200)
    assert flip.reasons == (
        "no fleet is small enough: calls cost 2.00 USD a month more than answers of the edge, "
        "and the fixed cost is 100.00 USD a month",
        "no device is cheap enough: the fleet runs for 0.00 USD a month, "
        "and -98.00 USD a month are there for it",
    )


def test_answers_that_cost_more_than_calls_flip_nowhere_and_never_pay_back() -> None:
    found = break_even(device_usd=80, usd_per_request=0.0001, edge_usd_per_request=0.0002)

    flip = found.flips(1000)

    assert (flip.devices, flip.device_usd, flip.payback_months) == (None, None, None)
    assert flip.reasons[1:] == (
        "no fleet is small enough: calls cost 0.10 USD a month less than answers of the edge, "
        "and the fixed cost is 0.00 USD a month",
        "no device is cheap enough: the fleet runs for 0.00 USD a month, "
        "and -0.10 USD a month are there for it",
        "it never pays back: what answers of the edge save is -0.10 USD a month, "
        "and the fleet runs for 0.00 USD a month",
    )


def test_without_requests_nothing_pays_back_and_it_is_said_why() -> None:
    flip = break_even(device_usd=80, usd_per_request=0.002).flips(0)

    assert flip.payback_months is None
    assert flip.reasons == (
        "it never pays back: what answers of the edge save is 0.00 USD a month, "
        "and the fleet runs for 0.00 USD a month",
    )


def test_devices_that_cost_nothing_can_not_be_too_many() -> None:
    flip = break_even(usd_per_request=0.002).flips(1000)

    assert flip.devices is None
    assert flip.reasons == ("no fleet is too large: a device costs nothing, or next to it",)
    assert flip.device_usd == pytest.approx(48)


def test_ten_million_requests_are_the_crossing_of_fleets_that_cost_20_000_usd_a_month() -> None:
    rows = fleets_at(
        10_000_000,
        usd_per_request=0.002,
        device_prices_usd=(35, 80, 249),
        opex_usd_per_device_month=1.5,
        watts=5,
    )

    for row in rows:
        assert row.devices * row.usd_per_device_month == pytest.approx(20_000)
    # 80 / 36 + 1.50 + 0.5475 USD a month each.
    assert rows[1].devices == pytest.approx(20_000 / (80 / 36 + 2.0475))


def test_a_device_that_costs_nothing_has_no_crossing() -> None:
    with pytest.raises(UsageError) as caught:
        fleets_at(10, usd_per_request=0.002, device_prices_usd=(0,))

    assert caught.value.what == "a device that costs nothing a month has no crossing"
    assert caught.value.where == "device_prices_usd"
    assert caught.value.hint == "give a price or a running cost"
