"""What a tier takes to answer, and what stands before its servers: for plans and simulations."""

import math
from dataclasses import dataclass

from edgewise.errors import InvalidRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFormula:
    """Time that one server works on one request, by its tokens."""

    base_ms: float = 0.0
    per_input_token_ms: float = 0.0
    per_output_token_ms: float = 0.0

    def __post_init__(self) -> None:
        for name in ("base_ms", "per_input_token_ms", "per_output_token_ms"):
            _at_least(getattr(self, name), 0.0, f"ServiceFormula.{name}")

    def ms(self, input_tokens: float, output_tokens: float) -> float:
        """Give the time for one request."""
        return (
            self.base_ms
            + self.per_input_token_ms * input_tokens
            + self.per_output_token_ms * output_tokens
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Requests that one server answers together.

    A batch begins when it is full, or when its first request has waited `wait_ms`. It takes as
    long as its longest request alone, and `added_share` of that for each further one.
    """

    most: int
    wait_ms: float = 0.0
    added_share: float = 0.0

    def __post_init__(self) -> None:
        _at_least(self.most, 1, "Batching.most")
        _at_least(self.wait_ms, 0.0, "Batching.wait_ms")
        _at_least(self.added_share, 0.0, "Batching.added_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """How many servers there are: enough for the load seen, between two bounds.

    Every `look_s` the busy time since the last look gives how many servers would be used at
    `target_utilization`. One that is added works after `delay_s`; one too many ends its request.
    """

    least: int = 1
    most: int
    delay_s: float = 60.0
    look_s: float = 15.0
    target_utilization: float = 0.7

    def __post_init__(self) -> None:
        _at_least(self.least, 1, "Autoscaling.least")
        _at_least(self.most, self.least, "Autoscaling.most")
        _at_least(self.delay_s, 0.0, "Autoscaling.delay_s")
        _at_least(self.look_s, 0.001, "Autoscaling.look_s")
        if not 0.0 < self.target_utilization <= 1.0:
            what = f"not above 0 and at most 1: {self.target_utilization}"
            where = "Autoscaling.target_utilization"
            raise InvalidRecord(what, where=where, hint="give a share, such as 0.7")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """What stands before a tier's servers beyond first come, first served."""

    most_waiting: int | None = None
    """A request that finds as many waiting is refused; `None` refuses none."""
    batching: Batching | None = None
    autoscaling: Autoscaling | None = None

    def __post_init__(self) -> None:
        if self.most_waiting is not None:
            _at_least(self.most_waiting, 0, "QueueRules.most_waiting")


def _at_least(value: float, least: float, where: str) -> None:
    if not (math.isfinite(value) and value >= least):
        raise InvalidRecord(f"not {least:g} or more: {value}", where=where, hint="mend the number")
