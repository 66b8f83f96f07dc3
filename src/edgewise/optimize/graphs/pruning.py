"""How every structured pruning begins: the share is checked, and what can go is looked for."""

from collections.abc import Callable
from typing import TypeVar

import onnx

from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.shares import check_share
from edgewise.optimize.graphs.wiring import Wiring

Unit = TypeVar("Unit")


def begin(
    model: onnx.ModelProto,
    share: float,
    find: Callable[[Wiring], list[Unit]],
    *,
    name: str,
    none: str,
) -> tuple[Wiring, list[Unit]]:
    """Give the model's wiring and what a share can be taken of, at least one.

    Parameters
    ----------
    name
        Of the pass.
    none
        What to say where nothing is found: what it looked for.

    Raises
    ------
    InvalidModel
        When nothing is found.
    UsageError
        When the share is outside [0, 1).
    """
    check_share(share)
    wiring = Wiring(model)
    units = find(wiring)
    if not units:
        raise InvalidModel(none, where=name, hint="prune before fusing or quantizing the model")
    return wiring, units
