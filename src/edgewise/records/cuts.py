"""What the parts of an ONNX model take on a target, cut at each place worth it."""

import math
from dataclasses import dataclass

from edgewise.errors import InvalidRecord
from edgewise.records.profile import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCut:
    """One place to cut: what would be sent there, and what either part took."""

    tensor: str
    sent_bytes: int
    """Of the tensor, and of the model's own inputs that the tail reads as well."""
    head_ms: float
    tail_ms: float

    def __post_init__(self) -> None:
        times = all(0.0 < one < math.inf for one in (self.head_ms, self.tail_ms))
        if self.sent_bytes < 1 or not times:
            what = f"{self.sent_bytes} bytes, {self.head_ms} ms before and {self.tail_ms} ms after"
            hint = "give at least 1 byte and finite times above 0"
            raise InvalidRecord(what, where=f"cut at {self.tensor}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutProfile:
    """A model cut at several places on one target. Written by `edgewise cuts`, read by a placement.

    Times are means of the middle half of the rounds, one request at a time.
    """

    model_sha256: str
    target: Target
    whole_ms: float
    input_bytes: int
    """Of the inputs as tensors; a request may be smaller, such as a JPEG file."""
    rounds: int
    points: tuple[MeasuredCut, ...]
    """From the input to the output; empty: none sends less than the inputs are."""
    inputs: str = "generated"
    origin: str = "measured"

    def __post_init__(self) -> None:
        if not 0.0 < self.whole_ms < math.inf:
            what, hint = f"the whole model takes {self.whole_ms} ms", "give a finite time above 0"
            raise InvalidRecord(what, where="CutProfile.whole_ms", hint=hint)
