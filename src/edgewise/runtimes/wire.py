"""What a remote protocol is, and the tuple of those there are."""

from collections.abc import Sequence
from typing import Any, Protocol

from edgewise.records import Input, Prediction
from edgewise.records import Protocol as ProtocolName
from edgewise.runtimes.json_wire import JsonWire
from edgewise.runtimes.oip_wire import OipWire
from edgewise.runtimes.openai_wire import OpenAiWire


class Wire(Protocol):
    """One protocol's forms: a batch of inputs to a JSON body, and the answer's body back. Pure."""

    name: ProtocolName
    batches: bool
    """Whether one call takes many inputs."""

    def path(self, model: str) -> str:
        """Give the path of the call, from `/`."""
        ...

    def encode(self, inputs: Sequence[Input], model: str, labels: tuple[str, ...]) -> Any:
        """Give the body of a call."""
        ...

    def decode(self, body: Any, n: int, labels: tuple[str, ...]) -> list[Prediction]:
        """Give `n` predictions from an answer's body.

        Raises
        ------
        ValueError
            With the reason, when the body is not what the protocol says.
        """
        ...


WIRES: tuple[Wire, ...] = (JsonWire(), OipWire(), OpenAiWire())


def find_wire(name: ProtocolName) -> Wire:
    """Give the wire of a protocol."""
    return next(wire for wire in WIRES if wire.name is name)
