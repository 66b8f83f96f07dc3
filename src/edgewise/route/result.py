"""What the engine gives back for one request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from edgewise.records import Action, Step


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceResult(Mapping[str, Any]):
    """One answer and how it came about; reads as a mapping and as attributes. Made by the engine.

    As a mapping it holds what JSON can: everything but `steps`.
    """

    prediction: str
    label: str
    confidence: float
    """Calibrated: the chance that the answer is right."""
    latency_ms: float
    cost: float
    """US dollars."""
    location: str
    probabilities: dict[str, float]
    """By label; empty when a remote tier gives none."""
    reasons: tuple[str, ...]
    policy_version: str
    certificate: dict[str, Any] | None
    """Its `state`, `threshold`, `loss`, `alpha`, `delta` and `bound`; `None` without one."""
    request_id: str
    attempts: list[dict[str, Any]]
    warnings: tuple[str, ...] = ()
    """How inputs differ from those that the certificate was made of, such as `drift_length`."""
    generation: dict[str, Any] | None = None
    """Of text generation: `finish_reason`, `usage`, `logprob`, `mean_logprob`, `tool_calls`,
    `refusal`."""
    steps: tuple[Step, ...] = field(default=())

    def __getitem__(self, key: str) -> Any:
        if key not in _KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)

    def explain(self) -> list[str]:
        """Tell the decision step by step, a line a step."""
        lines = [f"allowed tiers: {', '.join(self.steps[0].allowed)}"] if self.steps else []
        left = list(self.attempts)
        for number, step in enumerate(self.steps, start=1):
            why = ", ".join(reason.value for reason in step.reasons)
            if step.action is Action.ANSWER:
                lines.append(f"{number}. the answer of {step.tier} stands: {why}")
                continue
            if step.action is not Action.ASK:
                lines.append(f"{number}. {step.action.value}: {why}")
                continue
            limit = "" if step.timeout_ms is None else f" within {step.timeout_ms:.0f} ms"
            lines.append(f"{number}. ask {step.tier}{limit}: {why}")
            # Tiers that raced ended in another order than they were asked in.
            attempt = next((one for one in left if one["tier"] == step.tier), None)
            if attempt is not None:
                left.remove(attempt)
            lines.append(f"   {_told(attempt or {})}")
        lines.append(f"location: {self.location}")
        return lines


_KEYS = tuple(one.name for one in fields(InferenceResult) if one.name != "steps")


def _told(attempt: Mapping[str, Any]) -> str:
    text = f"{attempt.get('outcome', 'not asked')} in {attempt.get('latency_ms', 0.0):.1f} ms"
    if attempt.get("confidence") is not None:
        text += f", confidence {attempt['confidence']:.3f}"
    if attempt.get("error"):
        text += f", {attempt['error']}"
    return text
