"""The vocabulary: frozen records and enums, and their JSON form with a schema version.

Every stage takes these and gives these; nothing here imports anything of ours but errors.
Read `bundle.py`, `certificate.py`, `policy.py` and `decision.py` first.

Names load with their module on first use (PEP 562): a frozen record costs a millisecond to define,
and a gateway needs few of them.
"""

from typing import TYPE_CHECKING

from edgewise.lazy import lazily

if TYPE_CHECKING:
    from edgewise.records.api_key import ApiKey
    from edgewise.records.asides import aside_of, clear_dead_asides, own_aside_of
    from edgewise.records.audit import (
        Answered,
        AuditCase,
        AuditRules,
        AuditSample,
        AuditState,
        OnVoid,
    )
    from edgewise.records.budget import BudgetRules, Price, Spending, SpendingLimit, nano_usd
    from edgewise.records.bundle import BundleManifest, Candidate, Fidelity, ImageInput, Task
    from edgewise.records.calibrating import CalibrateSummary, RecertifySummary
    from edgewise.records.certificate import (
        CalibrationKind,
        Certificate,
        CertificateState,
        CloudAnswers,
        ConfidenceMap,
        Loss,
        Reliability,
        check_certificate,
        seal,
    )
    from edgewise.records.codec import (
        SCHEMA_VERSION,
        decode,
        digest,
        encode,
        read_json,
        write_json,
        write_text,
    )
    from edgewise.records.costs import (
        Assumptions,
        CloudCosts,
        Costs,
        Distribution,
        EdgeCosts,
        Shape,
        Upkeep,
        VolumeDiscount,
    )
    from edgewise.records.cuts import CutProfile, MeasuredCut
    from edgewise.records.decision import (
        LATE_TAG,
        Action,
        Attempt,
        Decision,
        Hedge,
        Outcome,
        Reason,
        RequestFacts,
        Step,
        SystemState,
        TierState,
    )
    from edgewise.records.device import DeviceRule, DeviceState
    from edgewise.records.drift import DriftRules, DriftWarning, Histogram
    from edgewise.records.generation import (
        Generation,
        StreamRules,
        TextChunk,
        TextConfidence,
        TextScore,
        TokenUsage,
        ToolCall,
    )
    from edgewise.records.numbers import NUMBERS
    from edgewise.records.offline import OfflineRules
    from edgewise.records.optimizing import (
        CandidateRow,
        OptimizeSummary,
        SkippedRuntime,
        row_of,
    )
    from edgewise.records.placement import (
        Assignment,
        Binding,
        Constraint,
        Limit,
        Placement,
        PlacementAim,
        PlacementMethod,
        PlacementPoint,
        PoolUse,
        Relaxation,
    )
    from edgewise.records.placing import (
        DAY_S,
        HOURS_PER_MONTH,
        PEAK_OVER_MEAN,
        CutPoint,
        DeviceClass,
        Handover,
        ModelCuts,
        ModelProfile,
        ModelQuality,
        PlacementModel,
        PlacementProblem,
        PlacementTier,
        PlacementWorkload,
        Pool,
        RelaxationPrices,
    )
    from edgewise.records.plan import CostPoint, Figure, MonthlyUsd, Option, Origin, Plan
    from edgewise.records.planning import (
        BY_DEFAULT,
        BreakEvenSpread,
        CashMonth,
        Certainty,
        Complexity,
        CostLine,
        Flip,
        PlanBasis,
        Spread,
        Swing,
        Tradeoff,
    )
    from edgewise.records.policy import (
        LatencyLimit,
        Policy,
        PreRouteRules,
        PrivacyRules,
        Protocol,
        TierKind,
        TierPolicy,
        TokenLimit,
    )
    from edgewise.records.policy_diff import Effect, PolicyChange, PolicyDiff
    from edgewise.records.prediction import Input, Prediction
    from edgewise.records.preroute import PreRouterEvidence, PreRouterWeights
    from edgewise.records.prices import MEASURES, PriceRow, PriceTable
    from edgewise.records.privacy import PrivacyAction, PrivacyActions
    from edgewise.records.profile import (
        LATENCY_SHARES,
        NOT_MEASURED,
        BatchLatency,
        Comparison,
        Contender,
        Energy,
        LatencyBucket,
        MemoryLimit,
        Profile,
        Target,
    )
    from edgewise.records.progress import Progress, silent
    from edgewise.records.project import (
        CalibrationChoice,
        CloudTier,
        Columns,
        DataSpec,
        EdgeTier,
        Example,
        ModelSpec,
        Objective,
        OptimizeSpec,
        PlanSpec,
        ProjectSpec,
        Split,
        TiersSpec,
        Workload,
    )
    from edgewise.records.replayed import OptionReplay, TraceReplay
    from edgewise.records.resilience import BreakerRules, HedgeRules, ProbeRules, RetryRules
    from edgewise.records.routing import RoutingSpec
    from edgewise.records.run import (
        Answers,
        BundleSummary,
        CertificateSummary,
        Interval,
        PlanSummary,
        ProfileSummary,
        Quality,
        RunSummary,
        SourceSummary,
    )
    from edgewise.records.score import LearnedScore, Score
    from edgewise.records.service import Autoscaling, Batching, QueueRules, ServiceFormula
    from edgewise.records.showing import DecisionBin, LatencyCurve
    from edgewise.records.simulation import (
        ArrivalReport,
        Bounds,
        EnergyReport,
        LatencyQuantiles,
        LateReport,
        LogReplay,
        QueueReport,
        SimulatedQuality,
        Simulation,
    )

__all__ = [
    "BY_DEFAULT",
    "DAY_S",
    "HOURS_PER_MONTH",
    "LATENCY_SHARES",
    "LATE_TAG",
    "MEASURES",
    "NOT_MEASURED",
    "NUMBERS",
    "PEAK_OVER_MEAN",
    "SCHEMA_VERSION",
    "Action",
    "Answered",
    "Answers",
    "ApiKey",
    "ArrivalReport",
    "Assignment",
    "Assumptions",
    "Attempt",
    "AuditCase",
    "AuditRules",
    "AuditSample",
    "AuditState",
    "Autoscaling",
    "BatchLatency",
    "Batching",
    "Binding",
    "Bounds",
    "BreakEvenSpread",
    "BreakerRules",
    "BudgetRules",
    "BundleManifest",
    "BundleSummary",
    "CalibrateSummary",
    "CalibrationChoice",
    "CalibrationKind",
    "Candidate",
    "CandidateRow",
    "CashMonth",
    "Certainty",
    "Certificate",
    "CertificateState",
    "CertificateSummary",
    "CloudAnswers",
    "CloudCosts",
    "CloudTier",
    "Columns",
    "Comparison",
    "Complexity",
    "ConfidenceMap",
    "Constraint",
    "Contender",
    "CostLine",
    "CostPoint",
    "Costs",
    "CutPoint",
    "CutProfile",
    "DataSpec",
    "Decision",
    "DecisionBin",
    "DeviceClass",
    "DeviceRule",
    "DeviceState",
    "Distribution",
    "DriftRules",
    "DriftWarning",
    "EdgeCosts",
    "EdgeTier",
    "Effect",
    "Energy",
    "EnergyReport",
    "Example",
    "Fidelity",
    "Figure",
    "Flip",
    "Generation",
    "Handover",
    "Hedge",
    "HedgeRules",
    "Histogram",
    "ImageInput",
    "Input",
    "Interval",
    "LateReport",
    "LatencyBucket",
    "LatencyCurve",
    "LatencyLimit",
    "LatencyQuantiles",
    "LearnedScore",
    "Limit",
    "LogReplay",
    "Loss",
    "MeasuredCut",
    "MemoryLimit",
    "ModelCuts",
    "ModelProfile",
    "ModelQuality",
    "ModelSpec",
    "MonthlyUsd",
    "Objective",
    "OfflineRules",
    "OnVoid",
    "OptimizeSpec",
    "OptimizeSummary",
    "Option",
    "OptionReplay",
    "Origin",
    "Outcome",
    "Placement",
    "PlacementAim",
    "PlacementMethod",
    "PlacementModel",
    "PlacementPoint",
    "PlacementProblem",
    "PlacementTier",
    "PlacementWorkload",
    "Plan",
    "PlanBasis",
    "PlanSpec",
    "PlanSummary",
    "Policy",
    "PolicyChange",
    "PolicyDiff",
    "Pool",
    "PoolUse",
    "PreRouteRules",
    "PreRouterEvidence",
    "PreRouterWeights",
    "Prediction",
    "Price",
    "PriceRow",
    "PriceTable",
    "PrivacyAction",
    "PrivacyActions",
    "PrivacyRules",
    "ProbeRules",
    "Profile",
    "ProfileSummary",
    "Progress",
    "ProjectSpec",
    "Protocol",
    "Quality",
    "QueueReport",
    "QueueRules",
    "Reason",
    "RecertifySummary",
    "Relaxation",
    "RelaxationPrices",
    "Reliability",
    "RequestFacts",
    "RetryRules",
    "RoutingSpec",
    "RunSummary",
    "Score",
    "ServiceFormula",
    "Shape",
    "SimulatedQuality",
    "Simulation",
    "SkippedRuntime",
    "SourceSummary",
    "Spending",
    "SpendingLimit",
    "Split",
    "Spread",
    "Step",
    "StreamRules",
    "Swing",
    "SystemState",
    "Target",
    "Task",
    "TextChunk",
    "TextConfidence",
    "TextScore",
    "TierKind",
    "TierPolicy",
    "TierState",
    "TiersSpec",
    "TokenLimit",
    "TokenUsage",
    "ToolCall",
    "TraceReplay",
    "Tradeoff",
    "Upkeep",
    "VolumeDiscount",
    "Workload",
    "aside_of",
    "check_certificate",
    "clear_dead_asides",
    "decode",
    "digest",
    "encode",
    "nano_usd",
    "own_aside_of",
    "read_json",
    "row_of",
    "seal",
    "silent",
    "write_json",
    "write_text",
]

_NAMES = {
    "api_key": "ApiKey",
    "asides": "aside_of clear_dead_asides own_aside_of",
    "audit": "Answered AuditCase AuditRules AuditSample AuditState OnVoid",
    "budget": "BudgetRules Price Spending SpendingLimit nano_usd",
    "bundle": "BundleManifest Candidate Fidelity ImageInput Task",
    "calibrating": "CalibrateSummary RecertifySummary",
    "certificate": (
        "CalibrationKind Certificate CertificateState CloudAnswers ConfidenceMap Loss "
        "Reliability check_certificate seal"
    ),
    "codec": "SCHEMA_VERSION decode digest encode read_json write_json write_text",
    "costs": "Assumptions CloudCosts Costs Distribution EdgeCosts Shape Upkeep VolumeDiscount",
    "cuts": "CutProfile MeasuredCut",
    "decision": (
        "LATE_TAG Action Attempt Decision Hedge Outcome Reason RequestFacts Step SystemState "
        "TierState"
    ),
    "device": "DeviceRule DeviceState",
    "drift": "DriftRules DriftWarning Histogram",
    "generation": ("Generation StreamRules TextChunk TextConfidence TextScore TokenUsage ToolCall"),
    "numbers": "NUMBERS",
    "offline": "OfflineRules",
    "optimizing": "CandidateRow OptimizeSummary SkippedRuntime row_of",
    "placement": (
        "Assignment Binding Constraint Limit Placement PlacementAim PlacementMethod "
        "PlacementPoint PoolUse Relaxation"
    ),
    "placing": (
        "DAY_S HOURS_PER_MONTH PEAK_OVER_MEAN CutPoint DeviceClass Handover ModelCuts "
        "ModelProfile ModelQuality PlacementModel PlacementProblem PlacementTier "
        "PlacementWorkload Pool RelaxationPrices"
    ),
    "plan": "CostPoint Figure MonthlyUsd Option Origin Plan",
    "planning": (
        "BY_DEFAULT BreakEvenSpread CashMonth Certainty Complexity CostLine Flip PlanBasis Spread "
        "Swing Tradeoff"
    ),
    "policy": (
        "LatencyLimit Policy PreRouteRules PrivacyRules Protocol TierKind TierPolicy TokenLimit"
    ),
    "policy_diff": "Effect PolicyChange PolicyDiff",
    "prediction": "Input Prediction",
    "preroute": "PreRouterEvidence PreRouterWeights",
    "prices": "MEASURES PriceRow PriceTable",
    "privacy": "PrivacyAction PrivacyActions",
    "profile": (
        "LATENCY_SHARES NOT_MEASURED BatchLatency Comparison Contender Energy LatencyBucket "
        "MemoryLimit Profile Target"
    ),
    "progress": "Progress silent",
    "project": (
        "CalibrationChoice CloudTier Columns DataSpec EdgeTier Example ModelSpec Objective "
        "OptimizeSpec PlanSpec ProjectSpec Split TiersSpec Workload"
    ),
    "replayed": "OptionReplay TraceReplay",
    "resilience": "BreakerRules HedgeRules ProbeRules RetryRules",
    "routing": "RoutingSpec",
    "run": (
        "Answers BundleSummary CertificateSummary Interval PlanSummary ProfileSummary Quality "
        "RunSummary SourceSummary"
    ),
    "score": "LearnedScore Score",
    "service": "Autoscaling Batching QueueRules ServiceFormula",
    "showing": "DecisionBin LatencyCurve",
    "simulation": (
        "ArrivalReport Bounds EnergyReport LatencyQuantiles LateReport LogReplay QueueReport "
        "SimulatedQuality Simulation"
    ),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # pragma: no branch
    __getattr__, __dir__ = lazily(__name__, _HOMES)
