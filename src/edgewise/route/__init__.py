"""Routes each request: a pure decision, and the engine that carries it out.

A policy and an input go in; an answer, its place and its reasons come out. Read `decide.py` first.
Engine and client load on first use: the decision alone needs neither runtime nor HTTP client.
"""

import importlib
from typing import TYPE_CHECKING

from edgewise.route.breaker import Breaker
from edgewise.route.clock import Clock, SystemClock
from edgewise.route.decide import allowed_tiers, decide, location_of
from edgewise.route.late import Admission, LateAnswer, LateOutcome, LateRequest
from edgewise.route.monitor import TierMonitor
from edgewise.route.privacy import detect
from edgewise.route.result import InferenceResult

if TYPE_CHECKING:
    from edgewise.route.budget import Budget, Reservation
    from edgewise.route.client import CloudInferenceClient
    from edgewise.route.comparing import compare_policies, shown_policy
    from edgewise.route.draining import drain
    from edgewise.route.engine import HybridInferenceEngine
    from edgewise.route.judging import Judge
    from edgewise.route.offline import OfflineQueue
    from edgewise.route.streaming import AnswerStream
    from edgewise.route.telling import DecisionSink
    from edgewise.route.tiers import StreamingTier, TierModel

__all__ = [
    "Admission",
    "AnswerStream",
    "Breaker",
    "Budget",
    "Clock",
    "CloudInferenceClient",
    "DecisionSink",
    "HybridInferenceEngine",
    "InferenceResult",
    "Judge",
    "LateAnswer",
    "LateOutcome",
    "LateRequest",
    "OfflineQueue",
    "Reservation",
    "StreamingTier",
    "SystemClock",
    "TierModel",
    "TierMonitor",
    "allowed_tiers",
    "compare_policies",
    "decide",
    "detect",
    "drain",
    "location_of",
    "shown_policy",
]

_HOMES = {
    "AnswerStream": "streaming",
    "Budget": "budget",
    "CloudInferenceClient": "client",
    "DecisionSink": "telling",
    "HybridInferenceEngine": "engine",
    "Judge": "judging",
    "OfflineQueue": "offline",
    "Reservation": "budget",
    "StreamingTier": "tiers",
    "TierModel": "tiers",
    "compare_policies": "comparing",
    "drain": "draining",
    "shown_policy": "comparing",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgewise.route' has no attribute {name!r}")
    return getattr(importlib.import_module(f"edgewise.route.{_HOMES[name]}"), name)
