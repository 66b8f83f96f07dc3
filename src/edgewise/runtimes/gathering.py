"""Pieces of an answer put together again."""

from edgewise.records import Generation, TextChunk, TokenUsage, ToolCall


class Gathered:
    """An answer as far as it came. One for one stream."""

    __slots__ = (
        "_calls",
        "_pieces",
        "_refusals",
        "_texts",
        "finish_reason",
        "first_margin",
        "logprobs",
        "told",
    )

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, ToolCall] = {}
        self._pieces = 0
        self.logprobs: list[float] = []
        self.first_margin: float | None = None
        self.finish_reason = ""
        self.told: TokenUsage | None = None

    def add(self, chunk: TextChunk) -> None:
        """Take the next piece."""
        if chunk.is_content:
            self._pieces += 1
        if chunk.text:
            self._texts.append(chunk.text)
        if chunk.refusal:
            self._refusals.append(chunk.refusal)
        if not self.logprobs and chunk.first_margin is not None:
            self.first_margin = chunk.first_margin
        self.logprobs += chunk.logprobs
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.told = chunk.usage or self.told
        for piece in chunk.tool_calls:
            known = self._calls.get(piece.index, ToolCall(index=piece.index))
            self._calls[piece.index] = ToolCall(
                index=piece.index,
                call_id=known.call_id or piece.call_id,
                name=known.name + piece.name,
                arguments=known.arguments + piece.arguments,
                custom=known.custom or piece.custom,
            )

    @property
    def tokens(self) -> int:
        """Count the tokens: by their log-probabilities, else a piece is taken for one."""
        return len(self.logprobs) or self._pieces

    @property
    def characters(self) -> int:
        """Count the characters of the text, or of the refusal in its place."""
        return sum(map(len, (*self._texts, *self._refusals)))

    def usage(self, input_tokens: int) -> TokenUsage:
        """Give the tokens as the tier told them, else an estimate.

        Parameters
        ----------
        input_tokens
            What the input is taken for where the tier is silent.
        """
        if self.told is not None:
            return self.told
        return TokenUsage(input_tokens=input_tokens, output_tokens=self.tokens, estimated=True)

    def generation(self, input_tokens: int) -> Generation:
        """Give the answer as it is by now."""
        return Generation(
            text="".join(self._texts),
            finish_reason=self.finish_reason,
            usage=self.usage(input_tokens),
            logprobs=tuple(self.logprobs),
            first_margin=self.first_margin,
            tool_calls=tuple(self._calls[index] for index in sorted(self._calls)),
            refusal="".join(self._refusals),
        )
