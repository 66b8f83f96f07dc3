"""The JSON of what is kept on disk is a contract: another form of it is a new schema version."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgewise.records import (
    ApiKey,
    Attempt,
    AuditRules,
    BreakerRules,
    BudgetRules,
    Certificate,
    CertificateState,
    Decision,
    HedgeRules,
    Loss,
    OfflineRules,
    Outcome,
    Policy,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    ProbeRules,
    Protocol,
    Reason,
    RequestFacts,
    RetryRules,
    SpendingLimit,
    TierKind,
    TierPolicy,
    decode,
    encode,
    seal,
)

GOLDEN = Path(__file__).parents[2] / "golden/records"
CERTIFICATE = seal(
    Certificate(
        state=CertificateState.CERTIFIED,
        loss=Loss.NET,
        alpha=0.02,
        delta=0.05,
        n=1500,
        threshold=0.8125,
        deferral_rate=0.25,
        bound=0.0175,
        empirical_loss=0.005,
        method="betting",
        bundle_sha256="ab" * 32,
        calibration_sha256="cd" * 32,
    )
)
POLICY = Policy(
    task="text-classification",
    labels=("no", "yes"),
    tiers=(
        TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8125),
        TierPolicy(
            name="cloud",
            kind=TierKind.CLOUD,
            rtt_p50_ms=80.0,
            rtt_p95_ms=200.0,
            usd_per_request=0.002,
            max_in_flight=64,
            endpoint="https://cloud.example/v2",
            protocol=Protocol.OIP,
            model="sentiment",
            api_key=ApiKey(env="CLOUD_KEY"),
        ),
    ),
    privacy=PrivacyRules(
        detect=("email", "card"),
        actions=PrivacyActions(by_kind={"email": PrivacyAction.REDACT}),
        residency={"eu": ("edge",)},
    ),
    breaker=BreakerRules(),
    retry=RetryRules(),
    hedge=HedgeRules(share=0.05),
    probe=ProbeRules(),
    budget=BudgetRules(path="budget.sqlite", total=SpendingLimit(usd_per_month=50.0)),
    offline=OfflineRules(path="queue.sqlite", key=ApiKey(env="QUEUE_KEY")),
    deadline_ms=800.0,
    audit=AuditRules(),
    bundle_sha256="ab" * 32,
    certificate=CERTIFICATE,
)
DECISION = Decision(
    request_id="0f7603b5e73f476db91ad034205835eb",
    at_s=1_790_000_000.25,
    policy_version="ef" * 32,
    facts=RequestFacts(
        request_id="0f7603b5e73f476db91ad034205835eb",
        input_length=12,
        input_bytes=48,
        deadline_ms=800.0,
    ),
    allowed=("edge", "cloud"),
    reasons=(Reason.NEAREST_FIRST, Reason.LOW_CONFIDENCE),
    attempts=(
        Attempt(tier="edge", outcome=Outcome.ANSWERED, latency_ms=3.5, confidence=0.75),
        Attempt(tier="cloud", outcome=Outcome.ANSWERED, latency_ms=95.0, confidence=0.99),
    ),
    location="cloud_fallback",
    latency_ms=98.75,
    cost_usd=0.002,
    confidence=0.99,
    certificate_state="certified",
    tags=("drift_length",),
)


@pytest.mark.parametrize(
    "record", [POLICY, CERTIFICATE, DECISION], ids=lambda one: type(one).__name__
)
def test_the_json_form_of_a_kept_record_is_the_golden_one(record: Any) -> None:
    path = GOLDEN / f"{type(record).__name__.lower()}.json"
    golden = json.loads(path.read_text(encoding="utf-8"))

    assert encode(record) == golden
    assert decode(type(record), golden) == record
