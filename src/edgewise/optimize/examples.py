"""What a caller gives as data becomes sample inputs: tensors by name, one example each. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidData
from edgewise.optimize.graphs.model_checks import check_samples
from edgewise.runtimes.feed import Port
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

_KINDS = "biuf"
_HINT = "give tensors, arrays, dicts of them by the model's input names, or lists of those"


def ports_of(model: "onnx.ModelProto") -> tuple[Port, ...]:
    """Give the inputs of a model that a caller has to fill."""
    with extras.needed("optimize"):
        from onnx import helper  # noqa: PLC0415 - optional

    stored = {one.name for one in model.graph.initializer}
    return tuple(
        Port(
            name=one.name,
            shape=tuple(
                dim.dim_value if dim.HasField("dim_value") else None
                for dim in one.type.tensor_type.shape.dim
            ),
            dtype=np.dtype(helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)),
        )
        for one in model.graph.input
        if one.name not in stored
    )


def read_examples(model: "onnx.ModelProto", data: object, where: str) -> tuple[Tensors, ...]:
    """Give examples as a model takes them, a batch of one each where its batch is open.

    Parameters
    ----------
    data
        A tensor or an array (of all examples, for the first input), a dict of them by name, or a
        list of such. A whole array or dict is cut along its first axis. An example of a list
        may lack the batch axis.
    where
        The argument's name, for errors.

    Raises
    ------
    InvalidData
        When there is none, or one lacks an input, or has a wrong type, shape or a NaN.
    """
    ports = ports_of(model)
    named = [_fitted(one, ports) for one in read_named(data, [p.name for p in ports], where)]
    free = all(port.shape is None or port.shape[:1] in ((None,), (1,)) for port in ports)
    examples = cut_rows(named, where) if free else named
    try:
        check_samples(model, examples)
    except InvalidData as wrong:
        place = wrong.where.replace("sample inputs", where)
        raise InvalidData(wrong.what, where=place, hint=wrong.hint) from wrong
    return tuple(examples)


def read_named(data: object, names: Sequence[str], where: str) -> list[Tensors]:
    """Give data as arrays by name, an entry for each that the caller gave.

    Raises
    ------
    InvalidData
        When there is none, or an entry is no tensor, or does not say which input it is.
    """
    listed = isinstance(data, Sequence) and not isinstance(data, str | bytes)
    entries: list[object] = list(data) if listed else [data]  # type: ignore[call-overload]
    if data is None or not entries:
        raise InvalidData("there are no examples", where=where, hint="give at least one")
    found: list[Tensors] = []
    for number, entry in enumerate(entries):
        place = f"{where}[{number}]" if listed else where
        if isinstance(entry, Mapping):
            found.append(
                {
                    str(name): _array(value, f"{place}.{name}")
                    for name, value in entry.items()
                    if name in names
                }
            )
            if not found[-1]:
                what = f"it names {', '.join(map(str, entry))}, the model takes {', '.join(names)}"
                raise InvalidData(what, where=place, hint="name the model's inputs")
        else:
            found.append({names[0]: _array(entry, place)})
    return found


def cut_rows(named: Iterable[Tensors], where: str) -> list[Tensors]:
    """Cut each entry along its first axis into batches of one.

    Raises
    ------
    InvalidData
        When an entry's tensors have different numbers of rows, or none.
    """
    found: list[Tensors] = []
    for entry in named:
        rows = {value.shape[0] if value.ndim else 0 for value in entry.values()}
        if len(rows) != 1 or rows == {0}:
            shapes = ", ".join(f"{name} {value.shape}" for name, value in entry.items())
            what = f"its tensors have no common number of rows above 0: {shapes}"
            raise InvalidData(what, where=where, hint="give every input the same first axis")
        for row in range(rows.pop()):
            found.append({name: value[row : row + 1] for name, value in entry.items()})
    return found


def read_labels(labels: object, count: int, classes: int, where: str) -> NDArray[np.int64]:
    """Give labels as numbers of classes.

    Raises
    ------
    InvalidData
        When there is not one for each example, or one is no whole number in 0..classes-1.
    """
    found = np.asarray(_plain(labels)).reshape(-1)
    if len(found) != count:
        what = f"there are {len(found)} labels and {count} examples"
        raise InvalidData(what, where=where, hint="give one label an example")
    if found.dtype.kind not in "iu":
        what = f"they have type {found.dtype}"
        raise InvalidData(what, where=where, hint="give the numbers of the classes")
    if found.min() < 0 or found.max() >= classes:
        wrong = found[(found < 0) | (found >= classes)][0]
        what = f"the label {wrong} is outside 0..{classes - 1}"
        raise InvalidData(what, where=where, hint=f"the model tells {classes} classes apart")
    return found.astype(np.int64)


def _fitted(entry: Tensors, ports: Sequence[Port]) -> Tensors:
    """Add the batch axis where it lacks, and take whole numbers to the model's width."""
    made: dict[str, NDArray[np.generic]] = dict(entry)
    for port in ports:
        value = made.get(port.name)
        if value is None:
            continue
        if value.dtype.kind in "iu" and port.dtype.kind in "iu":
            value = value.astype(port.dtype)
        if port.shape is not None and value.ndim == len(port.shape) - 1:
            value = value[None]
        made[port.name] = value
    return made


def _array(value: object, where: str) -> NDArray[np.generic]:
    found = np.asarray(_plain(value))
    if found.dtype.kind not in _KINDS or isinstance(value, list | tuple):
        kind = type(value).__name__ if found.dtype.kind not in _KINDS else "list in a list"
        raise InvalidData(f"it is a `{kind}` and no tensor", where=where, hint=_HINT)
    return found


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
