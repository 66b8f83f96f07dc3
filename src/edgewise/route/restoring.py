"""Puts personal data back into answers: whole ones, and those that come in pieces."""

import json
from collections.abc import Mapping
from dataclasses import replace

from edgewise.records import Prediction, TextChunk, ToolCall
from edgewise.route.privacy import Restorer, restore


def restored(answer: Prediction, mapping: Mapping[str, str]) -> Prediction:
    """Give an answer with the values of its placeholders in their place."""
    if not mapping:
        return answer
    label = restore(answer.label, mapping)
    found = answer.generation
    if found is None:
        return replace(answer, label=label)
    within = _within_json(mapping)
    calls = tuple(
        replace(one, arguments=restore(one.arguments, mapping if one.custom else within))
        for one in found.tool_calls
    )
    text, refusal = restore(found.text, mapping), restore(found.refusal, mapping)
    found = replace(found, text=text, tool_calls=calls, refusal=refusal)
    return replace(answer, label=label, generation=found)


class ChunkRestorer:
    """Puts values back into pieces, whatever piece a placeholder is split by. One for one stream.

    What may be the beginning of a placeholder waits for its end; the piece that ends the answer,
    or `close`, brings all that still waits.
    """

    __slots__ = ("_calls", "_mapping", "_refusal", "_text", "_within")

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping
        self._within = _within_json(mapping)
        self._text, self._refusal = Restorer(mapping), Restorer(mapping)
        self._calls: dict[int, tuple[Restorer, bool]] = {}
        """By place, and whether a custom tool is called: its input is no JSON."""

    def feed(self, piece: TextChunk) -> TextChunk:
        """Give a piece with what is sure by now."""
        if not self._mapping:
            return piece
        text, refusal = self._text.feed(piece.text), self._refusal.feed(piece.refusal)
        calls = [self._call(one) for one in piece.tool_calls]
        if piece.finish_reason:
            last = self.close()
            text, calls = text + last.text, [*calls, *last.tool_calls]
            refusal += last.refusal
        return replace(piece, text=text, tool_calls=tuple(calls), refusal=refusal)

    def close(self) -> TextChunk:
        """Give what still waited."""
        waited = [
            ToolCall(index=index, arguments=restorer.close(), custom=custom)
            for index, (restorer, custom) in self._calls.items()
        ]
        return TextChunk(
            text=self._text.close(),
            refusal=self._refusal.close(),
            tool_calls=tuple(one for one in waited if one.arguments),
        )

    def _call(self, one: ToolCall) -> ToolCall:
        if one.index not in self._calls:
            mapping = self._mapping if one.custom else self._within
            self._calls[one.index] = Restorer(mapping), one.custom
        return replace(one, arguments=self._calls[one.index][0].feed(one.arguments))


def _within_json(mapping: Mapping[str, str]) -> dict[str, str]:
    """Write values as they stand within a text of JSON: a function's arguments are such."""
    return {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in mapping.items()}
