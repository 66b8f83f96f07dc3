"""`edgewise.yaml` for text generation becomes a `Policy`: there is nothing to build."""

from dataclasses import replace
from pathlib import Path

from edgewise.errors import InvalidSpec
from edgewise.records import (
    Policy,
    Price,
    Protocol,
    StreamRules,
    Task,
    TierKind,
    TierPolicy,
    TokenLimit,
)
from edgewise.spec import chat_model as shape
from edgewise.spec.load import ReadChats, privacy_rules, read_chat_project
from edgewise.spec.marked import parse, read_text
from edgewise.spec.routed import key_of
from edgewise.spec.serving import queue_of, service_of

_MILLION = 1e6


def load_chat_policy(path: Path) -> Policy:
    """Read a project file whose task is `text-generation`.

    The edge's threshold is what the file says: a wish, without a certificate.
    `calibrate.certify_texts` puts a certified one in its place.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    read = read_chat_project(path)
    tiers = read.project.tiers
    for name, one in (("edge", tiers.edge), ("cloud", tiers.cloud)):
        if one is not None and one.endpoint is None:
            what = f"key `tiers.{name}.endpoint` is missing"
            hint = "a tier that is asked needs its URL; `edgewise plan` does without one"
            raise InvalidSpec(what, where=read.place("tiers", name), hint=hint)
    return _policy(read)


def load_chat_tiers(path: Path) -> Policy | None:
    """Give what a file for text generation says, with endpoints or without; it may lack a name.

    `None` where the file is of another task, or has no edge.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    values, _ = parse(read_text(path), path)
    tiers = values.get("tiers")
    if values.get("task") != "text-generation" or not isinstance(tiers, dict):
        return None
    return _policy(read_chat_project(path, shape.ChatSketch)) if "edge" in tiers else None


def _policy(read: ReadChats) -> Policy:
    project, routing = read.project, read.routing
    edge, cloud = project.tiers.edge, project.tiers.cloud
    tiers = [replace(_tier("edge", edge, TierKind(edge.kind)), threshold=edge.threshold)]
    if cloud is not None:
        rtt = cloud.rtt_ms
        far = _tier("cloud", cloud, TierKind(cloud.kind))
        tiers.append(replace(far, rtt_p50_ms=rtt.p50, rtt_p95_ms=rtt.p95))
    return Policy(
        task=Task.TEXT_GENERATION.value,
        labels=(),
        tiers=tuple(tiers),
        privacy=privacy_rules(project.privacy),
        breaker=routing.breaker,
        retry=routing.retry,
        hedge=routing.hedge,
        probe=routing.probe,
        preroute=routing.preroute,
        budget=routing.budget,
        offline=routing.offline,
        device=routing.device,
        deadline_ms=routing.deadline_ms,
        stream=StreamRules(commit_after_tokens=project.stream.commit_after_tokens),
        max_output_tokens=project.max_output_tokens,
    )


def _tier(name: str, tier: shape.ChatTier, kind: TierKind) -> TierPolicy:
    cached = tier.usd_per_cached_input_token
    price = Price(
        usd_per_million_tokens_in=tier.usd_per_input_token * _MILLION,
        usd_per_million_tokens_out=tier.usd_per_output_token * _MILLION,
        usd_per_million_tokens_cached=None if cached is None else cached * _MILLION,
    )
    return TierPolicy(
        name=name,
        kind=kind,
        endpoint=tier.endpoint,
        protocol=Protocol(tier.protocol),
        model=tier.model,
        token_limit=TokenLimit(tier.token_limit),
        api_key=key_of(tier.api_key),
        usd_per_request=tier.usd_per_request,
        token_price=None if price == Price() else price,
        service=service_of(tier.service),
        servers=tier.servers,
        queue=queue_of(tier.queue),
    )
