"""A local model that is asked by many at once."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from edgewise.errors import DeadlineExceeded, InvalidData
from edgewise.gateway.batching import BatchingTier
from edgewise.records import Input, Prediction
from edgewise.runtimes import LocalModel


class Model:
    """A model that runs when it is let, and notes what it ran."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.began = threading.Event()
        self.ran: list[list[str]] = []

    def predict(self, one: Input) -> Prediction:
        return self.predict_many([one], batch_size=1)[0]

    def predict_many(self, inputs: Sequence[Input], *, batch_size: int) -> list[Prediction]:
        assert len(inputs) == batch_size
        self.began.set()
        assert self.let.wait(10)
        self.ran.append([str(one["text"]) for one in inputs])
        if any(one["text"] == "bad" for one in inputs):
            raise InvalidData("it is bad", where="input", hint="be good")
        return [Prediction(str(one["text"]), 1.0, ()) for one in inputs]

    def close(self) -> None: ...


def tier_of(model: Model, most: int) -> BatchingTier:
    return BatchingTier("edge", cast("LocalModel", model), most=most)


async def asked(tier: BatchingTier, model: Model, texts: Sequence[str]) -> list[Any]:
    """Ask for the first alone, and for the rest while it runs."""
    tasks = [asyncio.create_task(tier.ask({"text": texts[0]}, None))]
    await asyncio.to_thread(model.began.wait, 10)
    tasks += [asyncio.create_task(tier.ask({"text": text}, None)) for text in texts[1:]]
    await asyncio.sleep(0)
    model.let.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_waits_shares_the_next_run_and_none_is_larger_than_allowed() -> None:
    model = Model()
    tier = tier_of(model, 3)

    found = await asked(tier, model, ["a", "b", "c", "d", "e"])
    await tier.aclose()

    assert [one.label for one in found] == ["a", "b", "c", "d", "e"]
    assert model.ran == [["a"], ["b", "c", "d"], ["e"]]


async def test_one_inputs_fault_is_not_that_of_its_company() -> None:
    model = Model()
    tier = tier_of(model, 8)

    found = await asked(tier, model, ["a", "b", "bad", "d"])
    await tier.aclose()

    assert [getattr(one, "label", "") for one in found] == ["a", "b", "", "d"]
    assert isinstance(found[2], InvalidData)


async def test_what_is_too_late_is_told_so_and_not_run() -> None:
    model = Model()
    tier = tier_of(model, 1)
    first = asyncio.create_task(tier.ask({"text": "a"}, None))
    await asyncio.to_thread(model.began.wait, 10)

    with pytest.raises(DeadlineExceeded) as caught:
        await tier.ask({"text": "b"}, 1.0)
    model.let.set()
    await first
    last = await tier.ask({"text": "c"}, 5000.0)
    await tier.aclose()

    assert caught.value.what == "no answer within 1 ms"
    assert caught.value.where == "tier edge"
    assert caught.value.hint
    assert last.label == "c"
    assert model.ran == [["a"], ["c"]]
