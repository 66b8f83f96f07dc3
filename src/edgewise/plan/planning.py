"""Cost and feasibility of edge, cloud and hybrid; the cheapest feasible one is recommended."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgewise.plan.cashflow import cash_flow
from edgewise.plan.complexity import complexity
from edgewise.plan.cost import CostModel
from edgewise.plan.deciding import certainty, uncertain_numbers
from edgewise.plan.evidence import Evidence
from edgewise.plan.figures import figures_of
from edgewise.plan.latency import latency_curves
from edgewise.plan.numbers import numbers_of
from edgewise.plan.options import options_of, tradeoffs_of
from edgewise.plan.plausible import warnings_of
from edgewise.plan.prices import priced
from edgewise.plan.volume import Crossing, crossing_of, curve_of, flip_of
from edgewise.records import (
    BY_DEFAULT,
    CostLine,
    MonthlyUsd,
    Option,
    Plan,
    PlanBasis,
    PlanSpec,
    PriceTable,
    ProjectSpec,
)
from edgewise.units import format_usd

DRAWS, SEED = 10_000, 0


def basis_of(spec: ProjectSpec | PlanSpec, tables: Sequence[PriceTable] = ()) -> PlanBasis:
    """Give what a plan reads of a spec, with the prices that it names in tables.

    Raises
    ------
    InvalidSpec
        When no table has one of them.
    """
    basis = PlanBasis(
        name=spec.name,
        workload=spec.workload,
        costs=spec.costs,
        edge=spec.edge,
        cloud=spec.cloud,
        objective=spec.objective,
        privacy=spec.privacy,
        sources=dict.fromkeys(spec.defaults, BY_DEFAULT),
    )
    return priced(basis, tables)


def plan_from(
    basis: PlanBasis, evidence: Evidence, *, draws: int = DRAWS, seed: int = SEED
) -> Plan:
    """Plan a basis by its evidence; the same seed gives the same plan.

    Raises
    ------
    UsageError
        When the draws are too few or too many.
    """
    numbers, model = _numbers(basis, evidence), model_of(basis)
    options = options_of(basis, evidence, model, numbers)
    feasible = [one for one in options if one.feasible]
    choice = min(feasible, key=_usd) if feasible else None
    own = [one for one in feasible if one.name != "cloud"]
    leading = min(own, key=_usd).name if own else "edge"
    has_cloud = basis.cloud is not None
    crossing = (
        crossing_of(model, numbers, leading) if has_cloud else Crossing(requests_per_month=None)
    )
    weighed = sorted(feasible or options, key=_usd)
    given = basis.costs.uncertain
    uncertain = uncertain_numbers(given, evidence, has_cloud=has_cloud)
    price = {one.name: one.monthly_usd for one in options}
    return Plan(
        recommendation=_sentence(basis, choice, price, options),
        choice=choice.name if choice else None,
        feasible=choice is not None,
        monthly_usd=MonthlyUsd(
            edge=_usd(options[0]), cloud=price.get("cloud"), hybrid=price.get("hybrid")
        ),
        break_even_requests_per_month=crossing.requests_per_month,
        reasons=(
            *(f"{one.name}: {reason}" for one in options for reason in one.reasons),
            *(f"break-even: {reason}" for reason in crossing.reasons),
        ),
        options=tuple(options),
        figures=figures_of(basis, evidence, numbers),
        curve=curve_of(model, numbers, crossing.requests_per_month),
        warnings=warnings_of(basis, evidence, numbers),
        bill=_bill(model, numbers),
        cash=cash_flow(model, numbers, basis.workload.horizon_months),
        own_option=leading,
        flip=flip_of(model, numbers, leading) if has_cloud else None,
        certainty=certainty(
            model,
            numbers,
            uncertain,
            [one.name for one in weighed],
            own_option=leading,
            draws=draws,
            seed=seed,
        ),
        tradeoffs=tradeoffs_of(basis, options, evidence, model, numbers),
        complexity=complexity(
            model.options, numbers["costs.edge.updates_per_month"], basis.costs.upkeep
        ),
        deferral_curve=evidence.deferral_curve,
        latency=latency_curves(basis, evidence),
        decisions=evidence.decisions,
        threshold=evidence.threshold,
        replay=evidence.replay,
        basis=basis,
    )


def model_of(basis: PlanBasis) -> CostModel:
    """Give the cost model of a basis."""
    return CostModel(
        horizon_months=float(basis.workload.horizon_months),
        discounts=basis.costs.cloud.discounts,
        arrival_cv2=basis.costs.cloud.arrival_cv2,
        has_cloud=basis.cloud is not None,
    )


def _numbers(basis: PlanBasis, evidence: Evidence) -> dict[str, float]:
    measured = evidence.joules_beyond(basis.workload.watts)
    if basis.costs.edge.joules_per_request is None and measured is not None:
        edge = replace(basis.costs.edge, joules_per_request=measured)
        basis = replace(basis, costs=replace(basis.costs, edge=edge))
    return numbers_of(basis, evidence.deferral_share)


def _usd(one: Option) -> float:
    return one.monthly_usd or 0.0


def _bill(model: CostModel, numbers: Mapping[str, float]) -> tuple[CostLine, ...]:
    return tuple(
        CostLine(option=option, line=line, usd_per_month=float(usd))
        for option in model.options
        for line, usd in model.lines(option, numbers).items()
        if usd
    )


def _sentence(
    basis: PlanBasis,
    choice: Option | None,
    price: Mapping[str, float | None],
    options: Sequence[Option],
) -> str:
    if choice is None:
        first = next((f"{one.name}: {one.reasons[0]}" for one in options if one.reasons), "")
        return f"Nothing meets the objective ({first})."
    volume = f"{basis.workload.requests_per_month:,.0f} requests a month"
    cost = format_usd(_usd(choice))
    cloud = price.get("cloud")
    if choice.name == "cloud":
        costs = f"at {volume} it costs {cost} a month"
        return f"Use the cloud: {costs}, the least of what meets the objective."
    how = "Run on the edge" if choice.name == "edge" else "Run hybrid"
    if cloud is None:
        return f"{how}: at {volume} it costs {cost} a month."
    saved = cloud - _usd(choice)
    compared = (
        f"{format_usd(abs(saved))} {'less' if saved >= 0 else 'more'} than always asking the cloud"
    )
    return f"{how}: at {volume} it costs {cost} a month, {compared}."
