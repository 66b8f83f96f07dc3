"""Plain JSON: POST /predict with one input, or with `inputs`."""

from collections.abc import Sequence
from typing import Any

from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.answers import expect_label, expect_share
from edgewise.runtimes.sending import pixels_of, text_of


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
    if "image" in one:
        return {"image": pixels_of(one).tolist()}
    return {"text": text_of(one)}


def _prediction(row: Any, labels: tuple[str, ...]) -> Prediction:
    if not isinstance(row, dict):
        raise ValueError("a prediction is no object")
    label = expect_label(row.get("label", row.get("prediction")), labels)
    shares = row.get("probabilities")
    by_name: dict[str, float] = {}
    if isinstance(shares, dict):
        by_name = {expect_label(key, labels): expect_share(shares[key]) for key in shares}
    # A share that was not told is not taken for 0: then there are no probabilities.
    whole = bool(labels) and len(by_name) == len(labels)
    probabilities = tuple(by_name[name] for name in labels) if whole else ()
    confidence = expect_share(row.get("confidence", by_name.get(label, 1.0)))
    return Prediction(label, confidence, probabilities)
