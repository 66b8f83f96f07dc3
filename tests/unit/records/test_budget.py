"""What may be spent, and what a call costs."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import InvalidRecord
from edgewise.records import Price, SpendingLimit, nano_usd


@pytest.mark.parametrize("wrong", [-0.01, float("nan"), float("inf"), 2e9])
def test_what_is_no_amount_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidRecord) as limit:
        SpendingLimit(usd_per_month=wrong)
    with pytest.raises(InvalidRecord) as price:
        Price(usd_per_million_tokens_out=wrong)
    with pytest.raises(InvalidRecord) as amount:
        nano_usd(wrong)

    assert limit.value.where == "SpendingLimit.usd_per_month"
    assert limit.value.hint == "leave it out for no limit"
    assert limit.value.what == f"not between 0 and 1000000000: {wrong}"
    assert price.value.where == "Price"
    assert price.value.hint == "give 0 or more"
    assert "a price is no amount of money" in price.value.what
    assert amount.value.what == f"no amount of money: {wrong}"
    assert (amount.value.where, amount.value.hint) == ("usd", "give 0 or more")


def test_a_call_costs_its_request_and_its_tokens() -> None:
    # 0.001 + 2,000 tokens at 0.15 a million + 500 at 0.60 a million = 0.001 + 0.0003 + 0.0003
    price = Price(
        usd_per_request=0.001, usd_per_million_tokens_in=0.15, usd_per_million_tokens_out=0.6
    )

    assert price.usd(2_000, 500) == pytest.approx(0.0016, rel=1e-12)
    assert price.usd() == 0.001
    assert Price().usd(10**9, 10**9) == 0.0


def test_tokens_that_were_read_before_have_a_price_of_their_own() -> None:
    # 600 at 1 USD a million, 400 at 0.1, 100 at 2: 0.0006 + 0.00004 + 0.0002
    price = Price(
        usd_per_million_tokens_in=1.0,
        usd_per_million_tokens_out=2.0,
        usd_per_million_tokens_cached=0.1,
    )

    assert price.usd(1000, 100, 400) == pytest.approx(0.00084, rel=1e-12)
    assert replace(price, usd_per_million_tokens_cached=None).usd(1000, 100, 400) == pytest.approx(
        0.0012, rel=1e-12
    )


@pytest.mark.parametrize(
    ("usd", "nano"),
    [
        (0.0, 0),
        (0.0011, 1_100_000),
        (0.1 + 0.2, 300_000_000),
        (1e-9, 1),
        (1.2e-9, 2),
        (1e-11, 1),
        (5_000.0, 5_000_000_000_000),
        (1e9, 10**18),
    ],
)
def test_amounts_are_whole_billionths_rounded_up(usd: float, nano: int) -> None:
    assert nano_usd(usd) == nano


@given(st.floats(0.0, 1e9))
def test_no_amount_is_counted_as_less_than_it_is(usd: float) -> None:
    counted = Fraction(nano_usd(usd), 10**9)

    # Half of a trillionth is what a binary fraction may add to an amount.
    assert Fraction(usd) - Fraction(1, 2 * 10**12) <= counted < Fraction(usd) + Fraction(2, 10**9)
