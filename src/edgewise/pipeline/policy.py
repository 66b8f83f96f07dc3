"""What was measured and proved becomes the policy that the engine loads. Pure."""

from dataclasses import replace

from edgewise.records import (
    Certificate,
    CloudTier,
    ConfidenceMap,
    DriftRules,
    LatencyLimit,
    Policy,
    Profile,
    ProjectSpec,
    TierPolicy,
)


def make_policy(
    spec: ProjectSpec,
    labels: tuple[str, ...],
    profile: Profile,
    certificate: Certificate,
    confidence: ConfidenceMap,
    drift: DriftRules | None = None,
) -> Policy:
    """Join the certificate's threshold, the confidence map, latencies and rules of the spec."""
    edge = TierPolicy(
        name="edge",
        kind=spec.edge.kind,
        threshold=certificate.threshold,
        confidence=confidence,
        latency=tuple(
            LatencyLimit(up_to_length=b.up_to_length, p50_ms=b.p50_ms, p95_ms=b.p95_ms)
            for b in profile.buckets
        ),
        latency_limit_ms=spec.objective.latency_p95_ms,
        max_in_flight=spec.edge.max_in_flight,
        service=spec.edge.service,
        servers=spec.edge.servers,
        queue=spec.edge.queue,
    )
    routing = spec.routing
    return Policy(
        task=spec.task.value,
        labels=labels,
        tiers=(edge, *_far(spec.cloud)),
        privacy=spec.privacy,
        breaker=routing.breaker,
        retry=routing.retry,
        hedge=routing.hedge,
        probe=routing.probe,
        preroute=routing.preroute,
        budget=routing.budget,
        offline=routing.offline,
        device=routing.device,
        deadline_ms=routing.deadline_ms,
        audit=spec.audit if spec.cloud is not None else None,
        drift=drift,
        bundle_sha256=certificate.bundle_sha256,
        certificate=certificate,
    )


def _far(cloud: CloudTier | None) -> tuple[TierPolicy, ...]:
    """Give the cloud and its equals, which answer as it does."""
    if cloud is None:
        return ()
    far = TierPolicy(
        name="cloud",
        kind=cloud.kind,
        rtt_p50_ms=cloud.rtt_p50_ms,
        rtt_p95_ms=cloud.rtt_p95_ms,
        usd_per_request=cloud.usd_per_request,
        max_in_flight=cloud.max_in_flight,
        group="cloud" if cloud.equals else "",
        endpoint=cloud.endpoint,
        protocol=cloud.protocol,
        model=cloud.model,
        api_key=cloud.api_key,
        service=cloud.service,
        servers=cloud.servers,
        queue=cloud.queue,
    )
    equals = (replace(far, name=name, endpoint=url) for name, url in cloud.equals.items())
    return far, *equals
