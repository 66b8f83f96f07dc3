import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewise.errors import UsageError
from edgewise.units import format_bytes, format_ms, format_usd, parse_bytes, parse_ms


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        (1024, 1024),
        ("1024", 1024),
        ("3_000_000", 3_000_000),
        ("10 B", 10),
        ("16 MB", 16_000_000),
        ("256MiB", 268_435_456),
        ("1.5 GiB", 1_610_612_736),
        (" 2kb ", 2000),
        ("1KiB", 1024),
        ("1gb", 10**9),
        ("0", 0),
    ],
)
def test_sizes_are_read_in_bytes(text: str | int, size_bytes: int) -> None:
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [(100, 100.0), (0.5, 0.5), ("100", 100.0), ("100ms", 100.0), ("1.5 s", 1500.0), ("20us", 0.02)],
)
def test_durations_are_read_in_milliseconds(text: str | float, duration_ms: float) -> None:
    assert parse_ms(text) == pytest.approx(duration_ms)


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1e3", "10 parsecs", "1.5.2", "10 ms", "nan"])
def test_what_is_no_size_is_a_wrong_use(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_bytes(text)

    assert caught.value.what == f"not a size: `{text}`"
    assert caught.value.hint == "write it like `256MiB`"


@pytest.mark.parametrize("text", ["", "ms", "-1", "10 MiB", "1,5 s", "inf", -3.0])
def test_what_is_no_duration_is_a_wrong_use(text: str | float) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ms(text)

    assert caught.value.what == f"not a duration: `{text}`"
    assert caught.value.hint == "write it like `100ms`"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (24_012_390, "22.9 MiB"),
        (2**31, "2048.0 MiB"),
    ],
)
def test_sizes_are_printed_in_binary_units(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "0 ms"),
        (1e-8, "0 ms"),
        (4.2149, "4.21 ms"),
        (0.01234, "0.0123 ms"),
        (1350, "1.35 s"),
        (999, "999 ms"),
        (999.7, "1 s"),
    ],
)
def test_durations_are_printed_with_three_digits(duration_ms: float, text: str) -> None:
    assert format_ms(duration_ms) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (1234.4, "1,234 USD"),
        (99.5, "99.50 USD"),
        (0, "0.00 USD"),
        (0.0042, "0.0042 USD"),
        (-5, "-5.00 USD"),
        (-0.25, "-0.25 USD"),
    ],
)
def test_dollars_are_printed_for_people(usd: float, text: str) -> None:
    assert format_usd(usd) == text


@given(st.integers(0, 2**40))
def test_whole_bytes_are_read_as_they_are(size_bytes: int) -> None:
    assert parse_bytes(f"{size_bytes}") == parse_bytes(f"{size_bytes:_} B") == size_bytes


@given(st.integers(0, 10**6))
def test_seconds_are_a_thousand_milliseconds(duration_s: int) -> None:
    assert parse_ms(f"{duration_s}s") == parse_ms(duration_s * 1000)
