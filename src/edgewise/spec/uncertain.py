"""Numbers of `edgewise.yaml` that are distributions, and money in another currency."""

from collections.abc import Callable
from typing import Any

from edgewise.errors import InvalidRecord, InvalidSpec
from edgewise.records import NUMBERS, Distribution, Shape

Where = Callable[[tuple[str | int, ...]], str]
"""From a value's place to its file, line and column."""

_KEYS = ({"low", "mode", "high"}, {"p5", "p95"})
_PRICED = (
    *(("workload",), ("costs",), ("tiers", "edge"), ("tiers", "cloud")),
    *(("budget",), ("routing",), ("audit",)),
)


def take_distributions(raw: dict[str, Any], where: Where) -> dict[str, Distribution]:
    """Put one number in the place of each distribution in `raw`; give the distributions.

    `{low, mode, high}` is triangular; `{p5, p95}` is lognormal, or normal where p5 is not above 0.

    Raises
    ------
    InvalidSpec
        When the keys are others, or the numbers are out of order or where the number cannot be.
    """
    found = {}
    for name in NUMBERS:
        path = tuple(name.split("."))
        owner = _owner(raw, path)
        value = owner.get(path[-1]) if owner is not None else None
        if owner is None or not isinstance(value, dict):
            continue
        one = _distribution(name, value, where(path))
        found[name] = one
        owner[path[-1]] = round(one.centre) if name == "workload.devices" else one.centre
    return found


def _distribution(name: str, value: dict[str, Any], where: str) -> Distribution:
    numbers = {key: item for key, item in value.items() if _is_number(item)}
    if set(value) not in _KEYS or set(numbers) != set(value):
        what = f"`{name}`: not a distribution: {value!r}"
        hint = "give {low, mode, high}, or {p5, p95}, or one number"
        raise InvalidSpec(what[:200], where=where, hint=hint)
    low, high = min(numbers.values()), max(numbers.values())
    limits = NUMBERS[name]
    if low < limits.least or high > limits.most:
        what = f"`{name}`: {low:g} to {high:g} is not within {limits.least:g} to {limits.most:g}"
        raise InvalidSpec(what, where=where, hint=f"it is in {limits.unit}")
    try:
        if "mode" in numbers:
            low, mode, high = (float(numbers[key]) for key in ("low", "mode", "high"))
            return Distribution(shape=Shape.TRIANGULAR, low=low, mode=mode, high=high)
        low, high = float(numbers["p5"]), float(numbers["p95"])
        shape = Shape.LOGNORMAL if low > 0 else Shape.NORMAL
        return Distribution(shape=shape, low=low, high=high)
    except InvalidRecord as wrong:
        raise InvalidSpec(f"`{name}`: {wrong.what}", where=where, hint=wrong.hint) from wrong


def convert_money(
    raw: dict[str, Any], uncertain: dict[str, Distribution]
) -> dict[str, Distribution]:
    """Turn every amount in the file's own currency into USD; give the distributions in USD.

    A key is an amount when `usd` is in its name. Nothing changes without `costs.usd_per_unit`.
    """
    costs = raw.get("costs")
    rate = costs.get("usd_per_unit") if isinstance(costs, dict) else None
    if rate is None or not _is_number(rate) or not rate > 0:
        return uncertain
    done: list[dict[str, Any]] = []
    for path in _PRICED:
        _scale(_owner(raw, (*path, "")), rate, done)
    return {name: _times(one, rate) if "usd" in name else one for name, one in uncertain.items()}


def convert_all_money(raw: dict[str, Any]) -> None:
    """Turn every amount in a file, which says its currency at its top, into USD."""
    rate = raw.get("usd_per_unit")
    if rate is not None and _is_number(rate) and rate > 0:
        _scale(raw, rate, [])


def _scale(section: dict[str, Any] | None, rate: float, done: list[dict[str, Any]]) -> None:
    """Convert a section once: an alias puts the same one in two places."""
    if section is None or any(section is one for one in done):
        return
    done.append(section)
    for key, value in section.items():
        if isinstance(value, dict):
            _scale(value, rate, done)
        elif isinstance(value, list):
            for one in value:
                _scale(one if isinstance(one, dict) else None, rate, done)
        elif "usd" in str(key) and key != "usd_per_unit" and _is_number(value):
            section[key] = value * rate


def _times(one: Distribution, rate: float) -> Distribution:
    mode = None if one.mode is None else one.mode * rate
    return Distribution(shape=one.shape, low=one.low * rate, high=one.high * rate, mode=mode)


def _owner(raw: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """Give the mapping that holds a path's last part; `None` where there is none."""
    owner: Any = raw
    for part in path[:-1]:
        owner = owner.get(part) if isinstance(owner, dict) else None
    return owner if isinstance(owner, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
