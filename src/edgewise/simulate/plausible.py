"""What of a trace looks as if its file were broken or its times in another unit."""

from collections.abc import Iterator

_LONG_GAPS = 100.0
_RARE_PER_S = 2e-3
_YEAR_5000_S = 1e11


def trace_warnings(
    *, requests: int, first_s: float, span_s: float, longest_gap_s: float
) -> Iterator[str]:
    """Give what should be checked of a trace before its waits are believed."""
    gaps = requests - 1
    if gaps > 1 and span_s > 0.0 and longest_gap_s > _LONG_GAPS * span_s / gaps:
        yield f"no request came for {longest_gap_s:.4g} s once: is the trace whole?"
    if first_s > _YEAR_5000_S:
        yield "the trace begins after the year 5000: is `t_s` in milliseconds?"
    elif span_s > 1e6 and gaps / span_s < _RARE_PER_S:
        yield "requests come minutes apart, for weeks: is `t_s` in milliseconds?"
