"""What a model answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewise.records.generation import Generation

Input = Mapping[str, Any]
"""One request's input: `{"text": ...}`, `{"image": ...}` or `{"messages": ...}`, and what rides
along with it."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of a model. Made by a task or a remote client, read by the engine."""

    label: str
    confidence: float
    probabilities: tuple[float, ...]
    """In the order of the bundle's labels; empty when a remote tier gives none."""
    energy: float | None = None
    """Log-sum-exp of the logits; `None` where the model gives none."""
    generation: Generation | None = None
    """What a text model answered; `label` is then its text."""
