"""`--what-if KEY=VALUE`: one number of a scenario is another.

Keys of the scenario: `rate`, `bytes_per_token`, `failures.TIER`, `outages.TIER`, `drift.from_s`,
`drift.wrong_share`, `drift.found_after_s`. All others are fields of the policy, such as
`deadline_ms`, `hedge.share` or, by a tier's name, `tiers.cloud.servers`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgewise.errors import InvalidRecord, UsageError
from edgewise.records import Policy, decode, encode
from edgewise.simulate.scenario import BYTES_PER_TOKEN, Drift, Outage

_WHERE = "--what-if"
_HINT = "such as tiers.cloud.servers=8, rate=2, outages.cloud=60-120 or failures.cloud=0.01"
_DRIFT = ("from_s", "wrong_share", "found_after_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is another than in the files. Made by `read_changes`."""

    policy: Mapping[str, Any] = field(default_factory=dict)
    """By the dotted path of the field."""
    rate: float = 1.0
    bytes_per_token: float = BYTES_PER_TOKEN
    failure_share: Mapping[str, float] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    drift: Drift | None = None


def read_changes(changes: Sequence[str]) -> Changes:
    """Read changes as they stand on the command line.

    Raises
    ------
    UsageError
        When one is no `KEY=VALUE`, or its value can't be read.
    """
    policy: dict[str, Any] = {}
    numbers = {"rate": 1.0, "bytes_per_token": BYTES_PER_TOKEN}
    failures: dict[str, float] = {}
    drift: dict[str, float] = {}
    outages: list[Outage] = []
    for change in changes:
        key, equals, value = change.partition("=")
        key = key.strip()
        if not (equals and key and value.strip()):
            raise UsageError(f"no KEY=VALUE: `{change}`", where=_WHERE, hint=_HINT)
        head, _, rest = key.partition(".")
        if key in numbers:
            numbers[key] = _number(value, change)
        elif head == "failures":
            failures[rest] = _number(value, change)
        elif head == "outages":
            outages += [_outage(rest, part, change) for part in value.split(",")]
        elif head == "drift" and rest in _DRIFT:
            drift[rest] = _number(value, change)
        else:
            policy[key] = _literal(value.strip())
    return Changes(
        policy=policy,
        rate=numbers["rate"],
        bytes_per_token=numbers["bytes_per_token"],
        failure_share=failures,
        outages=tuple(outages),
        drift=_drift(drift),
    )


def changed(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """Give a policy with other fields.

    Raises
    ------
    UsageError
        When there is no such field, or its value can't be.
    """
    body = encode(policy)
    for key, value in changes.items():
        _set(body, key, value)
    try:
        return decode(Policy, body, where=_WHERE)
    except InvalidRecord as wrong:
        raise UsageError(wrong.what, where=wrong.where, hint=_HINT) from wrong


def _set(body: dict[str, Any], key: str, value: Any) -> None:
    at: Any = body
    parts = key.split(".")
    for place, part in enumerate(parts):
        if isinstance(at, list):
            named = [one.get("name") for one in at if isinstance(one, dict)]
            if part not in named:
                what = f"no `{part}` in `{'.'.join(parts[:place])}`"
                raise UsageError(
                    what, where=_WHERE, hint=f"there are: {', '.join(map(str, named))}"
                )
            at = at[named.index(part)]
            continue
        if place == len(parts) - 1:
            at[part] = value
            return
        if at.get(part) is None:
            at[part] = {}
        at = at[part]
        if not isinstance(at, dict | list):
            raise UsageError(f"`{key}` leads nowhere", where=_WHERE, hint=_HINT)
    raise UsageError(f"`{key}` names a tier, not a number of it", where=_WHERE, hint=_HINT)


def _literal(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _number(value: str, change: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"no number: `{change}`", where=_WHERE, hint=_HINT) from None


def _outage(tier: str, part: str, change: str) -> Outage:
    begin, dash, end = part.partition("-")
    if not dash:
        hint = "give seconds of the trace, such as outages.cloud=60-120"
        raise UsageError(f"no FROM-TO: `{change}`", where=_WHERE, hint=hint)
    try:
        return Outage(tier=tier, from_s=_number(begin, change), to_s=_number(end, change))
    except InvalidRecord as wrong:
        raise UsageError(wrong.what, where=_WHERE, hint=wrong.hint) from wrong


def _drift(values: Mapping[str, float]) -> Drift | None:
    if not values:
        return None
    try:
        return Drift(
            from_s=values.get("from_s", 0.0),
            wrong_share=values.get("wrong_share", 0.0),
            found_after_s=values.get("found_after_s"),
        )
    except InvalidRecord as wrong:
        raise UsageError(wrong.what, where=_WHERE, hint=wrong.hint) from wrong
