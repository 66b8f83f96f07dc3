"""Cost by volume: where the curves cross, what flips the answer, and points to draw."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgewise.plan.breakeven import break_even
from edgewise.plan.cost import CostModel
from edgewise.plan.crossing import LARGEST, crossings
from edgewise.plan.numbers import DEFERRAL, FloatArray, Numbers, Value
from edgewise.records import BreakEvenSpread, CostPoint, Flip

_REQUESTS = "workload.requests_per_month"
_CURVE_POINTS = 41
_LONGEST_MONTHS = 1e6
_NEVER_BACK = f"it does not pay back within {_LONGEST_MONTHS:,.0f} months"
_BEYOND = f"the cloud is no dearer at any volume up to {LARGEST:.0e} requests a month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The volume from which own devices are cheaper than the cloud alone."""

    requests_per_month: float | None
    reasons: tuple[str, ...] = ()


def crossing_of(model: CostModel, numbers: Mapping[str, float], option: str) -> Crossing:
    """Give the least volume above which `option` costs less than the cloud.

    Where bills are straight lines it is worked out; where discounts, a minimum or servers by the
    hour bend them, it is searched for, and further crossings are reasons.
    """

    def difference(requests: FloatArray) -> FloatArray:
        n: Numbers = {**numbers, _REQUESTS: requests}
        near = np.broadcast_to(model.monthly(option, n), requests.shape)
        return np.asarray(near - model.monthly("cloud", n), dtype=np.float64)

    start, first = difference(np.array([0.0, 1.0])).tolist()
    if not _is_bent(model, numbers):
        saved, call_usd = _saved(model, numbers, option), _call_usd(model, numbers)
        return _straight(start, float(saved), float(call_usd))
    turns = crossings(difference, [one.from_requests for one in model.discounts])
    after = [one for one in turns if difference(np.array([one * (1 + 1e-9) + 1e-9]))[0] < 0]
    if start < 0 or (start == 0 and first < 0):
        return Crossing(
            requests_per_month=0.0,
            reasons=_more(turns, "own devices are cheaper from the first request on"),
        )
    if not after:
        return Crossing(requests_per_month=None, reasons=(_BEYOND,))
    words = "the cloud's bill bends"
    return Crossing(
        requests_per_month=after[0],
        reasons=_more(turns, words) if len(turns) > 1 else (),
    )


def _more(turns: tuple[float, ...], words: str) -> tuple[str, ...]:
    if not turns:
        return (words,)
    where = ", ".join(f"{one:,.0f}" for one in turns[:5])
    return (f"{words}: the cheaper one changes at {where} requests a month",)


def crossing_spread(
    model: CostModel, numbers: Numbers, option: str, draws: int
) -> BreakEvenSpread | None:
    """Give the break-even of every draw; `None` where the cloud's bill bends."""
    if _is_bent(model, numbers):
        return None
    start = np.broadcast_to(model.monthly(option, {**numbers, _REQUESTS: 0.0}), draws)
    saved = np.broadcast_to(_saved(model, numbers, option), draws)
    reached = start <= saved * LARGEST
    volumes = np.where(reached, start / np.where(reached, np.maximum(saved, 1e-300), 1.0), np.inf)
    at = np.quantile(volumes, [0.05, 0.5, 0.95], method="higher")
    p5, p50, p95 = (float(one) if np.isfinite(one) else None for one in at)
    return BreakEvenSpread(
        p5_requests=p5,
        p50_requests=p50,
        p95_requests=p95,
        never_share=float(1 - reached.mean()),
    )


def _is_bent(model: CostModel, numbers: Numbers) -> bool:
    bending = ("minimum_usd_per_month", "usd_per_gpu_hour")
    return bool(model.discounts) or any(np.any(numbers[f"costs.cloud.{key}"]) for key in bending)


def _saved(model: CostModel, numbers: Numbers, option: str) -> Value:
    """Give what one more request saves on own devices, where bills are straight."""
    cloud = _call_usd(model, numbers)
    away = cloud * numbers[DEFERRAL] if option == "hybrid" else 0.0
    return cloud - away - model.edge_usd_per_request(numbers)


def _call_usd(model: CostModel, numbers: Numbers) -> Value:
    """Give what one more request costs in the cloud, tokens and links too."""
    one = model.monthly("cloud", {**numbers, _REQUESTS: 1.0})
    return one - model.monthly("cloud", {**numbers, _REQUESTS: 0.0})


def _straight(start: float, saved: float, call_usd: float) -> Crossing:
    if saved > 0:
        least = start / saved if start <= saved * LARGEST else None
        reasons = () if least is not None else (_BEYOND,)
        return Crossing(requests_per_month=least, reasons=reasons)
    none = break_even(device_usd=max(start, 0.0), usd_per_request=0.0)
    if start == 0 and saved == 0:
        return Crossing(requests_per_month=None, reasons=none.reasons)
    more = "as much" if saved == 0 else f"{-saved:g} USD more"
    what = (
        f"never: one more request costs {more} on own devices {'as' if saved == 0 else 'than'} in "
        f"the cloud, whose price is {call_usd:g} USD"
    )
    return Crossing(requests_per_month=None, reasons=(what,))


def flip_of(model: CostModel, numbers: Mapping[str, float], option: str) -> Flip:
    """Give the fleet and the device price at which both cost the same at this volume.

    Either changes a bill in a straight line, whatever bends it by volume. Where answers save
    nothing there is neither: no fleet is small enough, and no device cheap enough.
    """
    n = numbers
    requests = n[_REQUESTS]
    whole = float(model.monthly("cloud", n))
    lines = model.lines(option, n)
    running = float(sum(model.running(n, n["workload.devices"]).values()))
    own = ("devices", "engineering", *model.running(n, 1.0))
    away = float(sum(usd for line, usd in lines.items() if line not in own))
    each = n["costs.edge.share"] * (1 + n["costs.edge.spares"])
    saved = whole - away
    if saved <= 0:
        why = _nothing_saved(requests, saved)
        return Flip(devices=None, device_usd=None, payback_months=None, reasons=(why,))
    one = break_even(
        devices=n["workload.devices"],
        device_usd=n["workload.device_usd"] * each,
        lifetime_months=n["costs.edge.lifetime_months"],
        opex_usd_per_device_month=running / n["workload.devices"],
        fixed_usd=n["workload.fixed_usd"] * n["costs.edge.lifetime_months"] / model.horizon_months,
        usd_per_request=saved,
    )
    flip = one.flips(1.0)
    capital = float(model.purchase(n)) + n["workload.fixed_usd"]
    month = saved - running
    payback = capital / month if capital < month * _LONGEST_MONTHS else None
    never = payback is None and flip.payback_months is not None
    return replace(
        flip,
        device_usd=None if flip.device_usd is None else flip.device_usd / each,
        payback_months=payback,
        reasons=(*flip.reasons, _NEVER_BACK) if never else flip.reasons,
    )


def _nothing_saved(requests: float, saved: float) -> str:
    if requests == 0:
        return "there are no requests, so nothing is saved"
    if saved == 0:
        return "own answers cost what the cloud's do, before any device"
    return f"own answers cost {-saved:,.2f} USD a month more than the cloud's, before any device"


def curve_of(
    model: CostModel, numbers: Mapping[str, float], crossing: float | None
) -> tuple[CostPoint, ...]:
    """Give points of every option's monthly cost around this volume and the crossing."""
    centre = max(numbers[_REQUESTS], 1.0)
    span = [centre, crossing] if crossing else [centre]
    low, high = min(span) / 10, max(span) * 10
    volumes = np.geomspace(max(low, 1.0), max(high, 10.0), _CURVE_POINTS)
    n: Numbers = {**numbers, _REQUESTS: volumes}
    costs = {
        option: np.broadcast_to(model.monthly(option, n), volumes.shape).tolist()
        for option in model.options
    }
    nothing = [None] * len(volumes)
    rows = zip(
        volumes.tolist(),
        costs["edge"],
        costs.get("cloud", nothing),
        costs.get("hybrid", nothing),
        strict=True,
    )
    return tuple(
        CostPoint(requests_per_month=volume, edge=edge, cloud=cloud, hybrid=hybrid)
        for volume, edge, cloud, hybrid in rows
    )
