"""The laws of a chat endpoint and of who asks it: subclass them to give the fixtures."""

# ruff: noqa: D102 - a law's name is its sentence, its arguments are fixtures

import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from edgewise.errors import DeadlineExceeded, RemoteError
from edgewise.records import Generation, TextChunk
from edgewise.runtimes import ChatWire, Lane, RemoteModel
from edgewise.runtimes.gathering import Gathered
from edgewise.runtimes.httpx_lane import HttpxLane
from edgewise.testing.endpoints import RawEndpoint, Turn
from edgewise.testing.remotes import BROKEN, KEY, NONSENSE, PAYLOAD, REFUSALS, SLOW

ASK: dict[str, Any] = {"prompt": "Name a colour.", "max_tokens": 8, "temperature": 0, "seed": 1}
_LIMIT_MS, _PATIENT_MS = 400.0, 20_000.0


async def whole_of(pieces: AsyncIterator[TextChunk]) -> Generation:
    """Put the pieces of a stream together."""
    found = Gathered()
    async for piece in pieces:
        found.add(piece)
    return found.generation(0)


class ChatEndpointLaws:
    """What an endpoint does that answers chats. A subclass gives `model`, opened for it."""

    async def test_a_stream_is_the_whole_answer(self, model: RemoteModel) -> None:
        whole = (await model.apredict(ASK)).generation
        streamed = await whole_of(model.astream(ASK))

        assert whole is not None
        assert (streamed.text, streamed.finish_reason) == (whole.text, whole.finish_reason)
        assert streamed.usage.output_tokens == whole.usage.output_tokens

    async def test_tokens_are_counted_and_each_has_its_probability(
        self, model: RemoteModel
    ) -> None:
        found = await whole_of(model.astream(ASK))

        assert not found.usage.estimated
        assert 0 < found.usage.output_tokens <= ASK["max_tokens"]
        assert 0 <= found.usage.cached_input_tokens <= found.usage.input_tokens
        assert len(found.logprobs) in (found.usage.output_tokens, found.usage.output_tokens - 1)
        assert all(one <= 0.0 for one in found.logprobs)
        assert found.first_margin is not None

    async def test_an_answer_ends_where_its_tokens_do(self, model: RemoteModel) -> None:
        found = await whole_of(model.astream({**ASK, "max_tokens": 1}))

        assert found.usage.output_tokens == 1
        assert found.finish_reason

    async def test_a_stream_that_is_left_leaves_room_for_the_next(self, model: RemoteModel) -> None:
        for _ in range(3):
            stream = model.astream({**ASK, "max_tokens": 400})
            await anext(stream)
            await stream.aclose()

        assert (await model.apredict({**ASK, "max_tokens": 1})).generation is not None


class ChatFaultLaws:
    """What who asks makes of an endpoint that does anything wrong, whole and in pieces.

    A subclass may have another `open_lane`.
    """

    def open_lane(self, url: str) -> Lane:
        return HttpxLane(url)

    @pytest.fixture(params=[False, True], ids=["whole", "streamed"])
    def streamed(self, request: pytest.FixtureRequest) -> bool:
        found: bool = request.param
        return found

    @pytest.mark.parametrize("name", REFUSALS)
    async def test_a_refusal_is_told_by_its_status(self, name: str, *, streamed: bool) -> None:
        failure = await self._failure(REFUSALS[name], streamed=streamed)

        assert isinstance(failure, RemoteError)
        assert failure.status == int(name.split(maxsplit=1)[0]) if name[0].isdigit() else 502

    @pytest.mark.parametrize("name", NONSENSE)
    async def test_nonsense_is_told_as_such(self, name: str, *, streamed: bool) -> None:
        assert isinstance(await self._failure(NONSENSE[name], streamed=streamed), RemoteError)

    @pytest.mark.parametrize("name", BROKEN)
    async def test_a_broken_answer_is_told_as_such(self, name: str, *, streamed: bool) -> None:
        assert isinstance(await self._failure(BROKEN[name], streamed=streamed), RemoteError)

    @pytest.mark.parametrize("name", SLOW)
    async def test_a_slow_answer_is_given_up_in_time(self, name: str, *, streamed: bool) -> None:
        assert isinstance(
            await self._failure(SLOW[name], streamed=streamed, limit_ms=_LIMIT_MS), DeadlineExceeded
        )

    async def _failure(
        self, turn: Turn, *, streamed: bool, limit_ms: float = _PATIENT_MS
    ) -> Exception:
        """Ask an endpoint that does one thing wrong; see that the failure tells no secret."""
        with RawEndpoint([turn]) as endpoint:
            model = RemoteModel(
                endpoint.url,
                wire=ChatWire(),
                api_key=KEY,
                timeout_ms=limit_ms,
                lane=self.open_lane,
            )
            one = {"prompt": PAYLOAD}
            with pytest.raises((RemoteError, DeadlineExceeded)) as caught:
                await (whole_of(model.astream(one)) if streamed else model.apredict(one))
            await model.aclose()
        shown = "".join(traceback.format_exception(caught.value))
        assert KEY not in shown
        assert PAYLOAD not in str(caught.value)
        assert caught.value.where
        assert caught.value.hint
        return caught.value
