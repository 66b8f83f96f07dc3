"""What was measured and proved becomes the policy that the engine loads. Pure."""

from edgewise.records import (
    Certificate,
    ConfidenceMap,
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
) -> Policy:
    """Join the certificate's threshold, the confidence map and the profile's latencies."""
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
        service=spec.edge.service,
        servers=spec.edge.servers,
        queue=spec.edge.queue,
    )
    tiers = [edge]
    if spec.cloud is not None:
        cloud = TierPolicy(
            name="cloud",
            kind=spec.cloud.kind,
            rtt_p50_ms=spec.cloud.rtt_p50_ms,
            rtt_p95_ms=spec.cloud.rtt_p95_ms,
            usd_per_request=spec.cloud.usd_per_request,
            endpoint=spec.cloud.endpoint,
            protocol=spec.cloud.protocol,
            model=spec.cloud.model,
            api_key=spec.cloud.api_key,
            service=spec.cloud.service,
            servers=spec.cloud.servers,
            queue=spec.cloud.queue,
        )
        tiers.append(cloud)
    return Policy(
        task=spec.task.value,
        labels=labels,
        tiers=tuple(tiers),
        privacy=spec.privacy,
        bundle_sha256=certificate.bundle_sha256,
        certificate=certificate,
    )
