"""Plain JSON: POST /predict with one input, or with `inputs`."""

from collections.abc import Sequence
from typing import Any

from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.answers import expect_label


class JsonWire:
    """`{"text": …}` in, `{"label", "confidence", "probabilities"}` out; many under `inputs`."""

    name = ProtocolName.JSON
    batches = True

    def path(self, model: str) -> str:
        """Give the path of the call."""
        del model
        return "/predict"

    def encode(self, inputs: Sequence[Input], model: str, labels: tuple[str, ...]) -> Any:
        """Give the body of a call; only `text` and `image` are sent."""
        del model, labels
        return {"inputs": [_payload(one) for one in inputs]}

    def decode(self, body: Any, n: int, labels: tuple[str, ...]) -> list[Prediction]:
        """Give `n` predictions; a single object stands for one."""
        rows = body.get("predictions", [body]) if isinstance(body, dict) else None
        if not isinstance(rows, list) or len(rows) != n:
            raise ValueError(f"not {n} predictions")
        return [_prediction(row, labels) for row in rows]


def _payload(one: Input) -> dict[str, Any]:
    return {key: one[key] for key in ("text", "image") if key in one}


def _prediction(row: Any, labels: tuple[str, ...]) -> Prediction:
    if not isinstance(row, dict):
        raise ValueError("a prediction is no object")
    label = expect_label(row.get("label", row.get("prediction")), labels)
    shares = row.get("probabilities")
    probabilities: tuple[float, ...] = ()
    if isinstance(shares, dict) and labels:
        probabilities = tuple(float(shares.get(name, 0.0)) for name in labels)
    confidence = float(row.get("confidence", max(probabilities, default=1.0)))
    if not 0.0 <= confidence <= 1.0 + 1e-6:
        raise ValueError("a confidence outside 0..1")
    return Prediction(label, confidence, probabilities)
