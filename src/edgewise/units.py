"""Units parsed and printed, once, at the border: bytes, milliseconds, US dollars."""

import re

from edgewise.errors import UsageError

_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_MS = {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001}
_NUMBER = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def parse_bytes(text: str | int) -> int:
    """Read a size such as `256MiB`, `16 MB` or `1024`; the result is in bytes.

    Raises
    ------
    UsageError
        When the text is no size or its unit is unknown.
    """
    return round(_parse(text, _BYTES, "a size", "256MiB"))


def parse_ms(text: str | float) -> float:
    """Read a duration such as `100`, `100ms` or `1.5s`; the result is in milliseconds.

    Raises
    ------
    UsageError
        When the text is no duration or its unit is unknown.
    """
    return _parse(text, _MS, "a duration", "100ms")


def format_bytes(size_bytes: float) -> str:
    """Print a size for people, in binary units: `22.9 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size_bytes) < 1024 or unit == "MiB":
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    raise AssertionError("unreachable")


def format_ms(duration_ms: float) -> str:
    """Print a duration for people with three significant digits: `4.21 ms`, `1.35 s`.

    Below a nanosecond it is 0.
    """
    if duration_ms >= 999.5:
        return f"{duration_ms / 1000:.3g} s"
    return f"{duration_ms:.3g} ms" if abs(duration_ms) >= 1e-6 else "0 ms"


def format_usd(usd: float) -> str:
    """Print US dollars for people: `1,234 USD`, `0.0042 USD`."""
    if abs(usd) >= 100:
        return f"{usd:,.0f} USD"
    return f"{usd:,.2f} USD" if abs(usd) >= 1 or usd == 0 else f"{usd:.3g} USD"


def _parse(
    text: str | float, scale: dict[str, float] | dict[str, int], kind: str, example: str
) -> float:
    match = _NUMBER.fullmatch(str(text))
    if match is None or match[2].lower() not in scale:
        raise UsageError(f"not {kind}: `{text}`", hint=f"write it like `{example}`")
    return float(match[1].replace("_", "")) * scale[match[2].lower()]
