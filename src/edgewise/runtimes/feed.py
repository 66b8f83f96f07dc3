"""Inputs checked against what a model takes, for runtimes that don't say what is wrong. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidData
from edgewise.runtimes.protocol import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input of a model. Made by a session when it loads, read at each call."""

    name: str
    shape: tuple[int | None, ...] | None
    """`None` for a size is one that calls may choose; `None` for the whole is any rank."""
    dtype: np.dtype[np.generic]


def feed(inputs: Tensors, ports: Sequence[Port], where: str) -> dict[str, NDArray[np.generic]]:
    """Give the tensors that a model takes, each in its own type.

    Integers may have another width than the model's, as LiteRT's 32 bits for a tokenizer's 64,
    where every value fits. No other type is changed.

    Raises
    ------
    InvalidData
        When an input is absent or has a wrong shape or type.
    """
    return {port.name: _one(inputs, port, ports, where) for port in ports}


def _one(inputs: Tensors, port: Port, ports: Sequence[Port], where: str) -> NDArray[np.generic]:
    if port.name not in inputs:
        what = f"the model's input '{port.name}' is absent"
        hint = f"it takes: {', '.join(one.name for one in ports)}"
        raise InvalidData(what, where=where, hint=hint)
    value = np.asarray(inputs[port.name])
    if port.shape is not None and not _fits(value.shape, port.shape):
        wanted = "x".join("?" if size is None else str(size) for size in port.shape)
        given = "x".join(map(str, value.shape))
        what = f"the model's input '{port.name}' is {wanted} and not {given or 'a scalar'}"
        raise InvalidData(what, where=where, hint="check shapes and types")
    if value.dtype == port.dtype:
        return value
    if value.dtype.kind in "iu" and port.dtype.kind in "iu":
        narrow = value.astype(port.dtype)
        if np.array_equal(narrow, value):
            return narrow
        what = f"the model's input '{port.name}' has numbers outside {port.dtype}"
    else:
        what = f"the model's input '{port.name}' is {port.dtype} and not {value.dtype}"
    raise InvalidData(what, where=where, hint="check shapes and types")


def _fits(given: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(given) == len(wanted) and all(
        size in (None, length) for size, length in zip(wanted, given, strict=True)
    )
