"""What a text model answers: whole, and as it comes."""

import math
from dataclasses import dataclass
from enum import Enum

from edgewise.errors import InvalidRecord
from edgewise.records.certificate import ConfidenceMap

_LENGTH_POWER = 0.6
_LENGTH_SHIFT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one call, as the tier counted them or as they were estimated."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    """Of the input tokens, those that the tier had read before."""
    output_tokens: int = 0
    estimated: bool = False
    """Whether the tier told no numbers and they were counted here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool that the model asks for; in a stream, a piece of one."""

    index: int = 0
    """Which of the answer's calls it is."""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    """JSON as text; the model wrote it, so it may be none. Of a custom tool any text."""
    custom: bool = False
    """Whether the tool takes a text of its own form: type `custom`, not `function`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One answer of a text model. Made by a remote client, read by the engine. Payload."""

    text: str
    finish_reason: str = ""
    """`stop`, `length`, `tool_calls` or another word of the tier; empty when it told none."""
    usage: TokenUsage = TokenUsage()
    logprobs: tuple[float, ...] = ()
    """Of each token in order, natural logarithms; empty where the tier tells none."""
    first_margin: float | None = None
    """How much likelier the first token was than the next best, as a difference of shares."""
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str = ""
    """In what words the model refuses, where it told them in place of a text."""

    @property
    def logprob(self) -> float | None:
        """Give the logarithm of the whole answer's probability."""
        return sum(self.logprobs) if self.logprobs else None

    @property
    def mean_logprob(self) -> float | None:
        """Give the mean over its tokens."""
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk:
    """A piece of an answer as it came. Made by a remote client, handed out by the engine."""

    text: str = ""
    finish_reason: str = ""
    usage: TokenUsage | None = None
    logprobs: tuple[float, ...] = ()
    first_margin: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str = ""

    @property
    def is_content(self) -> bool:
        """Whether it holds a part of the answer."""
        return bool(self.text or self.tool_calls or self.refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """When a stream is handed out that a farther tier's answer could still replace.

    A stream that nothing can replace is handed out from its first piece on.
    """

    commit_after_tokens: int | None = 16
    """Decide by the confidence after this many tokens, and hand out from then on; `None` holds
    the whole answer back. The certificate speaks of such streams where its score reads as many
    tokens: see `TextConfidence.first_tokens`."""

    def __post_init__(self) -> None:
        k = self.commit_after_tokens
        if k is not None and k < 1:
            hint = "give 1 or more, or leave it out to hold the whole answer back"
            raise InvalidRecord(f"not above 0: {k}", where="StreamRules", hint=hint)


class TextScore(Enum):
    """The number that a text's confidence is read off; higher where the model is surer."""

    MEAN_LOGPROB = "mean_logprob"
    MIN_LOGPROB = "min_logprob"
    """Of the token that the model was least sure of."""
    FIRST_MARGIN = "first_margin"
    LENGTH_NORMALISED = "length_normalised"
    """Sum over ((5 + n) / 6)**0.6 (Wu et al. 2016): between the sum and the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfidence:
    """Maps the log-probabilities of an answer's tokens to a calibrated confidence.

    Fitted by `calibrate.fit_text_confidence`, applied by the engine.
    """

    score: TextScore = TextScore.MEAN_LOGPROB
    first_tokens: int | None = None
    """Read no more than so many tokens, so that a stream can be judged by its beginning."""
    map: ConfidenceMap
    """Of the score alone: its own `score` is not read."""

    def __post_init__(self) -> None:
        k = self.first_tokens
        if k is not None and k < 1:
            hint = "leave it out to read the whole answer"
            raise InvalidRecord(f"not above 0: {k}", where="TextConfidence", hint=hint)

    def raw(self, logprobs: tuple[float, ...], first_margin: float | None) -> float | None:
        """Give the score; `None` where the tier told nothing to read it off."""
        read = logprobs if self.first_tokens is None else logprobs[: self.first_tokens]
        if self.score is TextScore.FIRST_MARGIN:
            return first_margin
        if not read:
            return None
        if self.score is TextScore.MIN_LOGPROB:
            return min(read)
        if self.score is TextScore.MEAN_LOGPROB:
            return sum(read) / len(read)
        length = (_LENGTH_SHIFT + len(read)) / (_LENGTH_SHIFT + 1)
        return sum(read) / math.pow(length, _LENGTH_POWER)

    def __call__(self, logprobs: tuple[float, ...], first_margin: float | None) -> float:
        """Give the calibrated confidence; 0, not sure, where it can't be read."""
        raw = self.raw(logprobs, first_margin)
        return 0.0 if raw is None else self.map.at(raw)
