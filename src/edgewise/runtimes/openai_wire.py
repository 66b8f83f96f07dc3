"""OpenAI's chat completions, asked to answer with one of the labels."""

import json
import math
from collections.abc import Sequence
from typing import Any

from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.answers import expect_label, expect_share
from edgewise.runtimes.sending import text_of

_AROUND_A_LABEL = "\"'.` \t\r\n"


class OpenAiWire:
    """One text a call. The message's content is the label.

    Its confidence is the probability of the message's tokens where the endpoint tells them
    (`logprobs`), else 1. There are no probabilities of the other labels.
    """

    name = ProtocolName.OPENAI
    batches = False

    def path(self, model: str) -> str:
        """Give the path of the call."""
        del model
        return "/v1/chat/completions"

    def encode(self, inputs: Sequence[Input], model: str, labels: tuple[str, ...]) -> Any:
        """Give the body of a call for one text."""
        task = "Classify the user's text. Answer with the label alone."
        if labels:
            names = json.dumps(list(labels), ensure_ascii=False)
            task = f"Classify the user's text. Answer with exactly one of: {names}"
        messages = [
            {"role": "system", "content": task},
            {"role": "user", "content": text_of(inputs[0])},
        ]
        return {"model": model, "messages": messages, "temperature": 0, "logprobs": True}

    def decode(self, body: Any, n: int, labels: tuple[str, ...]) -> list[Prediction]:
        """Give the one prediction of a message."""
        del n
        try:
            choice = body["choices"][0]
            content = choice["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise ValueError("no message in the answer") from None
        if not isinstance(content, str):
            raise ValueError("a message without text")
        label = _label(content, labels)
        return [Prediction(label, _confidence(choice.get("logprobs")), ())]


def _label(content: str, labels: tuple[str, ...]) -> str:
    """Find the label in a message: as it stands, without what is around it, or by its letters."""
    bare = content.strip(_AROUND_A_LABEL)
    for said in (content, content.strip(), bare):
        if said in labels:
            return said
    alike = [name for name in labels if name.casefold() == bare.casefold()]
    return expect_label(alike[0] if len(alike) == 1 else bare, labels)


def _confidence(told: Any) -> float:
    tokens = told.get("content") if isinstance(told, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return 1.0
    shares = []
    for token in tokens:
        log_share = token.get("logprob") if isinstance(token, dict) else None
        if isinstance(log_share, bool) or not isinstance(log_share, int | float):
            raise ValueError("a token without `logprob`")
        if not log_share <= 1e-6:
            raise ValueError("a `logprob` above 0")
        # Beyond -1000 the exponential is 0, and an integer may be too large for a float.
        shares.append(math.exp(max(log_share, -1000.0)))
    return expect_share(math.prod(shares))
