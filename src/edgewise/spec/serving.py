"""The sections of `edgewise.yaml` on how a tier serves, for simulations."""

from typing import Annotated

from pydantic import Field, model_validator

from edgewise.records import Autoscaling as AutoscalingRecord
from edgewise.records import Batching as BatchingRecord
from edgewise.records import QueueRules, ServiceFormula
from edgewise.spec.section import Finite, Section


class Service(Section):
    """Time that a server works on a request."""

    base_ms: Finite = Field(0.0, ge=0, description="for any request")
    per_input_token_ms: Finite = Field(0.0, ge=0, description="for each token in")
    per_output_token_ms: Finite = Field(0.0, ge=0, description="for each token out")


class Batching(Section):
    """Requests that a server answers together."""

    most: int = Field(8, gt=0, description="of a batch")
    wait_ms: Finite = Field(0.0, ge=0, description="of its first request for others")
    added_share: Finite = Field(0.0, ge=0, description="of time for each request but the longest")


class Autoscaling(Section):
    """How many servers there are."""

    least: int = Field(1, gt=0, description="servers")
    most: int = Field(4, gt=0, description="servers")
    delay_s: Finite = Field(60.0, ge=0, description="until one that is added works")
    look_s: Finite = Field(15.0, gt=0, description="between two looks at the load")
    target_utilization: Annotated[float, Field(gt=0, le=1)] = Field(
        0.7, description="that the number aims at"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Autoscaling":
        if self.least > self.most:
            raise ValueError("`least` is above `most`")
        return self


class Queue(Section):
    """What stands before a tier's servers."""

    most_waiting: int | None = Field(None, ge=0, description="beyond it requests are refused")
    batching: Batching | None = Field(None, description="requests answered together")
    autoscaling: Autoscaling | None = Field(None, description="servers that come and go")


Times = Annotated[Service | None, Field(description="time of an answer, for simulations")]
Servers = Annotated[int | None, Field(gt=0, description="requests answered at once; default: all")]
Queues = Annotated[Queue | None, Field(description="batches, limits, servers that come and go")]


def service_of(service: Service | None) -> ServiceFormula | None:
    """Give the record of a service."""
    return None if service is None else ServiceFormula(**service.model_dump())


def queue_of(queue: Queue | None) -> QueueRules | None:
    """Give the record of a queue."""
    if queue is None:
        return None
    batching, scaling = queue.batching, queue.autoscaling
    return QueueRules(
        most_waiting=queue.most_waiting,
        batching=None if batching is None else BatchingRecord(**batching.model_dump()),
        autoscaling=None if scaling is None else AutoscalingRecord(**scaling.model_dump()),
    )
