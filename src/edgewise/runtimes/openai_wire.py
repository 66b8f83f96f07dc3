"""OpenAI's chat completions, asked to answer with one of the labels."""

import json
from collections.abc import Sequence
from typing import Any

from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.answers import expect_label


class OpenAiWire:
    """One text a call. The message's content is the label; there are no probabilities."""

    name = ProtocolName.OPENAI
    batches = False

    def path(self, model: str) -> str:
        """Give the path of the call."""
        del model
        return "/v1/chat/completions"

    def encode(self, inputs: Sequence[Input], model: str, labels: tuple[str, ...]) -> Any:
        """Give the body of a call for one text."""
        task = f"Classify the user's text. Answer with exactly one of: {json.dumps(list(labels))}"
        messages = [
            {"role": "system", "content": task},
            {"role": "user", "content": inputs[0]["text"]},
        ]
        return {"model": model, "messages": messages, "temperature": 0}

    def decode(self, body: Any, n: int, labels: tuple[str, ...]) -> list[Prediction]:
        """Give the one prediction of a message."""
        del n
        try:
            content = body["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as wrong:
            raise ValueError("no message in the answer") from wrong
        label = str(content).strip().strip("\"'.` ")
        by_case = {name.lower(): name for name in labels}
        return [Prediction(expect_label(by_case.get(label.lower(), label), labels), 1.0, ())]
