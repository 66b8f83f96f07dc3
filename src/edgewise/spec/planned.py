"""What a plan reads of `edgewise.yaml`, whether its project is built or is for text generation."""

from pathlib import Path

from edgewise.errors import InvalidSpec
from edgewise.records import CloudTier, EdgeTier, PlanSpec, ProjectSpec, Protocol, TierKind
from edgewise.spec import chat_model as shape
from edgewise.spec.costing import costs_record, defaults_of
from edgewise.spec.costs import Costs
from edgewise.spec.load import (
    ReadChats,
    load_spec,
    objective_record,
    privacy_rules,
    read_chat_project,
    trace_of,
    workload_record,
)
from edgewise.spec.marked import parse, read_text
from edgewise.spec.routed import key_of
from edgewise.spec.serving import queue_of, service_of

_MILLION = 1e6
_TOKENS = (
    ("usd_per_input_token", "usd_per_million_input_tokens"),
    ("usd_per_cached_input_token", "usd_per_million_cached_tokens"),
    ("usd_per_output_token", "usd_per_million_output_tokens"),
)
"""The price of a token at a tier, and the key of `costs.cloud` that a plan reads."""


def load_plan(path: Path) -> ProjectSpec | PlanSpec:
    """Read a project file for a plan.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    values, _ = parse(read_text(path), path)
    if values.get("task") != "text-generation":
        return load_spec(path)
    read = read_chat_project(path)
    project, tiers = read.project, read.project.tiers
    _check_edge_price(read)
    costs = _with_token_prices(read)
    _check_tokens(read, costs)
    return PlanSpec(
        name=project.name,
        edge=_edge(tiers.edge),
        cloud=_cloud(tiers.cloud),
        objective=objective_record(project.objective),
        privacy=privacy_rules(project.privacy),
        workload=workload_record(project.workload),
        costs=costs_record(costs, read.uncertain),
        trace=trace_of(project.workload, path),
        defaults=defaults_of(project.model_copy(update={"costs": costs})),
        path=path.resolve(),
    )


def _check_edge_price(read: ReadChats) -> None:
    edge = read.project.tiers.edge
    for key in ("usd_per_request", *(key for key, _ in _TOKENS)):
        if getattr(edge, key):
            what = f"a plan counts the edge's machines, not a price of its calls: `{key}`"
            hint = "give what the machines cost under `workload` and `costs.edge`"
            raise InvalidSpec(what, where=read.place("tiers", "edge", key, "<key>"), hint=hint)


def _with_token_prices(read: ReadChats) -> Costs:
    """Give the costs with the tokens' prices that stand at the cloud's tier."""
    costs, cloud = read.project.costs, read.project.tiers.cloud
    if cloud is None:
        return costs
    given = {}
    for key, counted in _TOKENS:
        usd = getattr(cloud, key)
        if usd is None or key not in cloud.model_fields_set:
            continue
        if counted in costs.cloud.model_fields_set:
            what = f"`tiers.cloud.{key}` gives this price too, of one token"
            where = read.place("costs", "cloud", counted, "<key>")
            raise InvalidSpec(what, where=where, hint="leave one of the two out")
        given[counted] = usd * _MILLION
    return costs.model_copy(update={"cloud": costs.cloud.model_copy(update=given)})


def _check_tokens(read: ReadChats, costs: Costs) -> None:
    """Refuse a price of tokens without their number: they would cost nothing."""
    cloud = costs.cloud
    for kind in ("input", "output"):
        is_priced = cloud.model or getattr(cloud, f"usd_per_million_{kind}_tokens")
        if is_priced and f"{kind}_tokens" not in cloud.model_fields_set:
            what = f"key `costs.cloud.{kind}_tokens` is missing: the tokens of a request"
            hint = f"give it, like `costs: {{cloud: {{{kind}_tokens: 200}}}}`; 0 if there are none"
            raise InvalidSpec(what, where=read.place("costs", "cloud"), hint=hint)


def _edge(edge: shape.ChatEdge) -> EdgeTier:
    return EdgeTier(
        kind=TierKind(edge.kind),
        memory_bytes=edge.memory,
        service=service_of(edge.service),
        servers=edge.servers,
        queue=queue_of(edge.queue),
    )


def _cloud(cloud: shape.ChatCloud | None) -> CloudTier | None:
    if cloud is None:
        return None
    return CloudTier(
        kind=TierKind(cloud.kind),
        endpoint=cloud.endpoint,
        protocol=Protocol(cloud.protocol),
        model=cloud.model,
        api_key=key_of(cloud.api_key),
        usd_per_request=cloud.usd_per_request,
        rtt_p50_ms=cloud.rtt_ms.p50,
        rtt_p95_ms=cloud.rtt_ms.p95,
        service=service_of(cloud.service),
        servers=cloud.servers,
        queue=queue_of(cloud.queue),
    )
