"""Numbers that look like another unit, and things that nobody has said."""

from collections.abc import Iterator, Mapping

from edgewise.plan.evidence import Evidence
from edgewise.plan.latency import edge_p95_ms
from edgewise.plan.load import formula_s, overloaded
from edgewise.plan.numbers import SECONDS_A_MONTH
from edgewise.records import CloudCosts, PlanBasis
from edgewise.units import format_ms

_ALIKE = 2.0
"""Times that a trace may be busier, or calmer, than the mean of the month before it is said."""
_FEW = 100
"""Requests of a trace, below which a p95 says little."""
_TOKENS = "costs.cloud.usd_per_million_{}_tokens"


def warnings_of(
    basis: PlanBasis, evidence: Evidence, numbers: Mapping[str, float]
) -> tuple[str, ...]:
    """Give what a reader of the plan should check first."""
    found = [
        *_units(numbers),
        *_halves(numbers),
        *_missing(basis, numbers),
        *_unknown(basis, evidence),
        *_away_alone(basis),
        *_timed_otherwise(basis, evidence, numbers),
        *_another_volume(evidence, numbers),
        *_other_tokens(evidence, numbers),
        *_outgrown(basis, evidence, numbers),
    ]
    if numbers["workload.requests_per_month"] == 0:
        found.append("there are no requests: workload.requests_per_month is 0")
    return tuple(found)


def doubts_about_call(where: str, usd: float) -> Iterator[str]:
    """Say where the price of one request looks like that of something else."""
    if usd >= 1:
        yield f"{where}: {usd:g} USD looks like the price of a thousand or a million requests"
    if 0 < usd < 1e-6:
        yield f"{where}: {usd:g} USD looks like the price of a token"


def _units(n: Mapping[str, float]) -> Iterator[str]:
    call = "tiers.cloud.usd_per_request"
    yield from doubts_about_call(call, n.get(call, 0.0))
    for kind in ("input", "cached", "output"):
        price = n.get(_TOKENS.format(kind), 0.0)
        if 0 < price < 0.005:
            yield (
                f"{_TOKENS.format(kind)}: {price:g} USD per million tokens looks like a price per "
                f"token or per thousand: per million, {price:g} a token is {price * 1e6:,.0f}"
            )
    rate = n["costs.discount_rate_per_year"]
    if rate > 1:
        yield f"costs.discount_rate_per_year: {rate:g} looks like percent: 0.08 is 8 % a year"
    power = n["workload.usd_per_kwh"]
    if power > 2:
        yield f"workload.usd_per_kwh: {power:g} USD looks like cents"


def _halves(n: Mapping[str, float]) -> Iterator[str]:
    read, made = n["costs.cloud.input_tokens"], n["costs.cloud.output_tokens"]
    dear = n[_TOKENS.format("input")] + n[_TOKENS.format("output")]
    if dear > 0 and read + made == 0:
        yield "tokens have a price and a request has none: give costs.cloud.input_tokens"
    if read + made > 0 and dear == 0:
        yield "requests have tokens without a price: give costs.cloud.model or the prices"
    for kind in ("input", "output"):
        if dear > 0 and n[f"costs.cloud.{kind}_tokens"] > 0 and n[_TOKENS.format(kind)] == 0:
            yield f"{kind} tokens cost nothing, and the others do: give {_TOKENS.format(kind)}"
    if n["costs.cloud.usd_per_gpu_hour"] > 0 and n["costs.cloud.gpu_s_per_request"] == 0:
        yield "servers have a price and no work: give costs.cloud.gpu_s_per_request"


def _missing(basis: PlanBasis, n: Mapping[str, float]) -> Iterator[str]:
    work = basis.workload
    if work.device_usd + work.usd_per_device_month + work.watts + work.fixed_usd == 0:
        yield "own devices have no price: give workload.device_usd, unless they are there anyhow"
    if basis.cloud is None:
        if basis.costs.cloud != CloudCosts():
            yield "costs.cloud is given and there is no tiers.cloud, so nothing is billed"
        return
    billed = ("usd_per_gpu_hour", "minimum_usd_per_month", "input_tokens", "output_tokens")
    if basis.cloud.usd_per_request + sum(n[f"costs.cloud.{key}"] for key in billed) == 0:
        yield "the cloud has no price: give tiers.cloud.usd_per_request, or costs.cloud"


def _unknown(basis: PlanBasis, evidence: Evidence) -> Iterator[str]:
    if basis.objective.latency_p95_ms is not None and edge_p95_ms(basis, evidence) is None:
        yield "the edge's latency is neither measured nor assumed, so nothing is held against it"
    if basis.edge.memory_bytes is not None and evidence.peak_memory_bytes is None:
        yield "peak memory is neither measured nor assumed, so nothing is held against it"
    if basis.cloud is not None and evidence.edge_loss is None:
        yield "the edge's loss against the cloud is neither measured nor assumed"
    taken = evidence.promised and not evidence.deferral_rows  # a certificate promises the loss
    if basis.cloud is not None and taken and evidence.hybrid_loss is None:
        yield "the hybrid's loss against the cloud is neither measured nor assumed"


def _away_alone(basis: PlanBasis) -> Iterator[str]:
    """Say which regions' requests the hybrid sends away whole, and its numbers don't."""
    if basis.cloud is None:
        return
    far = {"cloud", *basis.cloud.equals}
    homes = basis.privacy.residency
    away = [name for name, tiers in homes.items() if "edge" not in tiers and far & set(tiers)]
    if away:
        yield (
            f"{', '.join(away)}: the cloud alone may see these regions' requests, and how many "
            "there are is not known: the hybrid's cost, latency and energy are as if the edge "
            "answered them first"
        )


def _timed_otherwise(basis: PlanBasis, evidence: Evidence, n: Mapping[str, float]) -> Iterator[str]:
    """Say where the edge's `service` takes far longer, or shorter, than the edge was timed at.

    Load and replays are of the `service`, and latencies without a trace of what was timed.
    """
    service, timed_ms = basis.edge.service, evidence.p50_ms
    if service is None or timed_ms is None:
        return
    served_ms = 1000 * formula_s(service, evidence, n)
    if served_ms > _ALIKE * timed_ms or timed_ms > _ALIKE * served_ms:
        yield (
            f"tiers.edge.service takes {format_ms(served_ms)} for a request, and the edge's p50 is "
            f"{format_ms(timed_ms)}: load and replays are of the first, other latencies of the "
            "second"
        )


def _another_volume(evidence: Evidence, n: Mapping[str, float]) -> Iterator[str]:
    replay, per_s = evidence.replay, n["workload.requests_per_month"] / SECONDS_A_MONTH
    if replay is not None:
        yield from (f"{replay.trace}: {words}" for words in replay.warnings)
    if replay is not None and replay.requests < _FEW:
        yield f"latencies are those of {replay.trace}, whose {replay.requests} requests are few"
    if replay is None or replay.per_s is None or per_s == 0:
        return
    if not 1 / _ALIKE <= replay.per_s / per_s <= _ALIKE:
        yield (
            f"latencies are those of {replay.trace}, with {replay.per_s:.3g} requests a second, "
            f"and workload.requests_per_month is {per_s:.3g} a second on average"
        )


def _other_tokens(evidence: Evidence, n: Mapping[str, float]) -> Iterator[str]:
    """Say where the tokens that are billed cost far more, or less, than the trace's would."""
    replay = evidence.replay
    if replay is None:
        return
    read, made = n["costs.cloud.input_tokens"], n["costs.cloud.output_tokens"]
    billed, brought = (
        tokens[0] * n[_TOKENS.format("input")] + tokens[1] * n[_TOKENS.format("output")]
        for tokens in ((read, made), (replay.input_tokens, replay.output_tokens))
    )
    if min(billed, brought) > 0 and not 1 / _ALIKE <= brought / billed <= _ALIKE:
        yield (
            f"latencies and load are those of {replay.trace}, with {replay.input_tokens:.4g} input "
            f"and {replay.output_tokens:.4g} output tokens a request, and the bill is of "
            f"costs.cloud.input_tokens {read:.4g} and output_tokens {made:.4g}"
        )


def _outgrown(basis: PlanBasis, evidence: Evidence, n: Mapping[str, float]) -> Iterator[str]:
    """Say which options bear the first month's requests, and from which month on no longer."""
    growth, requests = n["costs.growth_per_month"], n["workload.requests_per_month"]
    if growth <= 0:
        return
    found: dict[str, list[str]] = {}
    for option in ("edge",) if basis.cloud is None else ("edge", "cloud", "hybrid"):
        grown = requests
        for month in range(1, basis.workload.horizon_months + 1):
            many = overloaded(option, basis, evidence, {**n, "workload.requests_per_month": grown})
            if many:
                words = many[0].removeprefix("load binds: ")
                if month > 1:  # else it is a reason against the option
                    found.setdefault(f"from month {month} on {words}", []).append(option)
                break
            grown *= 1 + growth
    for words, options in found.items():
        yield f"{' and '.join(options)}: requests grow by {growth:.3g} a month, and {words}"
