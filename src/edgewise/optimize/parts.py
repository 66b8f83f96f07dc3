"""An ONNX model in two parts: where it may be cut, its head and its tail.

Cut where all content passes one tensor (`sources/flow.py`): the head gives that tensor, the tail
takes it. What goes around it, such as a mask, the tail makes anew from the model's own inputs.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgewise.errors import InvalidModel
from edgewise.optimize.sources.flow import find_cuts, takes
from edgewise.runtimes.protocol import Tensors

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


class WholeModel:
    """A checked model that can be cut. Made by who measures cuts.

    What counts is its first float output: the tail gives that alone.

    Raises
    ------
    InvalidModel
        When the file is no valid ONNX model, or has no float output.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InvalidModel("no such file", where=str(path), hint="give an ONNX file")
        try:
            self.model = onnx.load(str(path))
            onnx.checker.check_model(self.model)
        except Exception as broken:
            reason = (str(broken).splitlines() or ["unreadable"])[0][:120]
            what, hint = f"not a valid ONNX model: {reason}", "export or copy it again"
            raise InvalidModel(what, where=str(path), hint=hint) from broken
        graph = self.model.graph
        floats = [o.name for o in graph.output if o.type.tensor_type.elem_type in _FLOATS]
        if not floats:
            what, hint = "it has no float output", "give a model whose answer is a float tensor"
            raise InvalidModel(what, where=str(path), hint=hint)
        self.output = floats[0]
        weights = {one.name for one in graph.initializer}
        self.inputs = {one.name: one for one in graph.input if one.name not in weights}
        waists = find_cuts(graph, self.output).waists
        self.places = tuple(name for name in waists if name != self.output)

    def whole(self, also: Sequence[str] = ()) -> onnx.ModelProto:
        """Give the model with its one output, and others of its tensors beside it."""
        return self._part(self.output, (), also=also)

    def head(self, tensor: str) -> onnx.ModelProto:
        """Give what runs before a cut."""
        return self._part(tensor, ())

    def tail(self, tensor: str, value: NDArray[Any]) -> onnx.ModelProto:
        """Give what runs after a cut; `value` shows the type and shape of what it takes."""
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        found = self._part(self.output, (tensor,))
        found.graph.input.append(helper.make_tensor_value_info(tensor, kind, value.shape))
        return found

    def _part(
        self, output: str, given: Collection[str], also: Sequence[str] = ()
    ) -> onnx.ModelProto:
        """Give the nodes between `given` or the model's inputs, and the outputs."""
        graph = self.model.graph
        nodes, needed = [], {output, *also}
        for node in reversed(graph.node):
            if (needed - set(given)) & set(node.output):
                nodes.append(node)
                needed.update(takes(node))
        found = onnx.ModelProto()
        found.CopyFrom(self.model)
        part = found.graph
        for field in ("node", "input", "output", "initializer", "sparse_initializer", "value_info"):
            part.ClearField(field)
        part.node.extend(reversed(nodes))
        part.initializer.extend(one for one in graph.initializer if one.name in needed)
        part.sparse_initializer.extend(
            one for one in graph.sparse_initializer if one.values.name in needed
        )
        needed -= set(given)
        part.input.extend(one for name, one in self.inputs.items() if name in needed)
        # Without a type: ONNX Runtime works it out.
        part.output.extend(onnx.ValueInfoProto(name=name) for name in (output, *also))
        return found


def worth_trying(sizes: Mapping[str, int], *, input_bytes: int, most: int) -> tuple[str, ...]:
    """Choose places to cut by what they would send, in the model's order.

    A tensor that is no smaller than the inputs is left out: sending those instead needs no head.
    Of neighbours of one size the first and the last stay. Of what is left the `most` smallest stay.
    """
    smaller = [(name, size) for name, size in sizes.items() if size < input_bytes]
    ends: list[tuple[str, int]] = []
    for _, group in groupby(smaller, key=lambda one: one[1]):
        alike = list(group)
        ends += [alike[0]] if len(alike) == 1 else [alike[0], alike[-1]]
    kept = sorted(range(len(ends)), key=lambda at: (ends[at][1], at))[:most]
    return tuple(ends[at][0] for at in sorted(kept))


def made_inputs(
    inputs: Mapping[str, onnx.ValueInfoProto],
    shapes: Mapping[str, Sequence[int]],
    rng: np.random.Generator,
) -> Tensors:
    """Make up inputs: normal numbers, and ones where a model takes whole numbers or flags.

    Parameters
    ----------
    shapes
        Of inputs whose file does not say all dimensions; an unknown first one is taken as 1.

    Raises
    ------
    InvalidModel
        When a dimension stays unknown, or a shape is of no input.
    """
    strange = [name for name in shapes if name not in inputs]
    if strange:
        what, hint = f"`{strange[0]}` is no input of the model", f"inputs: {', '.join(inputs)}"
        raise InvalidModel(what, where="--shape", hint=hint)
    found = {}
    for name, one in inputs.items():
        tensor = one.type.tensor_type
        said = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim]
        shape = list(shapes.get(name, [1 if at == 0 and n < 1 else n for at, n in enumerate(said)]))
        if any(n < 1 for n in shape):
            known = ",".join(str(n) if n > 0 else "?" for n in shape)
            what = f"input `{name}` does not say all of its dimensions: {known}"
            raise InvalidModel(what, where="--shape", hint=f"give --shape {name}=1,…")
        kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        drawn = rng.normal(size=shape) if np.issubdtype(kind, np.floating) else np.ones(shape)
        found[name] = drawn.astype(kind)
    return found
