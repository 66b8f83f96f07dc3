"""What the engine adds to the first piece of a streamed answer.

An endpoint in a process of its own answers at once, so that what is measured is ours: the engine's
stream beside a direct stream of the same client, in turn in one process. Streams that nothing can
replace, and streams that are held for four tokens and then kept. Claim:
`stream_first_piece_added_p50_ms`, at most 1.

    .venv/bin/python -m benchmarks.route_stream
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.results import claim, write

from edgewise.records import Policy, Protocol, StreamRules, TextChunk, TierKind, TierPolicy
from edgewise.route import HybridInferenceEngine
from edgewise.runtimes import ChatWire, RemoteModel
from edgewise.testing.chats import ChatEndpoint, Saying

TIMES, WARM = 400, 50
ASK = {"messages": [{"role": "user", "content": "Say something about the sea. " * 8}]}
SAYING = Saying(tokens=("word ",) * 24, logprobs=(-0.01,) * 24)


def policy_of(url: str) -> Policy:
    """Give a pair of tiers at one endpoint."""
    near = TierPolicy(
        name="edge", kind=TierKind.DEVICE, threshold=0.5, endpoint=url, protocol=Protocol.OPENAI
    )
    far = replace(near, name="cloud", kind=TierKind.CLOUD, threshold=None)
    rules = StreamRules(commit_after_tokens=4)
    return Policy(task="text-generation", labels=(), tiers=(near, far), stream=rules)


async def first_piece_ms(pieces: AsyncIterator[TextChunk], nth: int = 1) -> float:
    """Give the time to the nth piece with text, and read the rest."""
    start_s, seen, taken_ms = time.perf_counter(), 0, 0.0
    async for piece in pieces:
        seen += bool(piece.text)
        if seen == nth and not taken_ms:
            taken_ms = (time.perf_counter() - start_s) * 1000
    return taken_ms


def serve(telling: Connection) -> None:
    """Answer chats until the other side hangs up."""
    with ChatEndpoint([SAYING]) as endpoint:
        telling.send(endpoint.url)
        with contextlib.suppress(EOFError):
            telling.recv()


async def measure(url: str) -> dict[str, float]:
    """Give the medians in milliseconds: direct and through the engine, in turn."""
    direct = RemoteModel(url, wire=ChatWire())
    taken: dict[str, list[float]] = {}
    async with HybridInferenceEngine(policy=policy_of(url)) as engine:
        for turn in range(WARM + TIMES):
            found = {
                "direct": await first_piece_ms(direct.astream(ASK)),
                "engine": await first_piece_ms(engine.stream({**ASK, "privacy_flag": True})),
                "direct_4th": await first_piece_ms(direct.astream(ASK), 4),
                "held": await first_piece_ms(engine.stream(ASK)),
            }
            for name, value in found.items():
                if turn >= WARM:
                    taken.setdefault(name, []).append(value)
    await direct.aclose()
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    """Measure, print and keep."""
    context = get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,))
    server.start()
    there.close()
    found = asyncio.run(measure(here.recv()))
    here.close()
    server.join()
    for name, value in found.items():
        print(f"{name:<12}{value:>8.3f} ms to the first piece handed out, p50")
    added_ms = found["engine"] - found["direct"]
    held_ms = found["held"] - found["direct_4th"]
    print(f"added {added_ms:.3f} ms; held for four tokens {held_ms:.3f} ms over the fourth token")
    write(
        "route",
        [
            claim(
                "stream_first_piece_added_p50_ms",
                round(added_ms, 3),
                1.0,
                runs=TIMES,
                peers={"direct": round(found["direct"], 3), "held_over_fourth": round(held_ms, 3)},
            )
        ],
        keep=True,
    )


if __name__ == "__main__":
    main()
