"""ONNX operators written with torch's, for `from_onnx.py`. Values are tensors, or numpy if fixed.

Source: the ONNX operator specification (opset 13 to 20), and ONNX Runtime's contrib operators
Attention, BiasGelu and Gelu, which `passes/fuse.py` makes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewise.errors import InvalidModel

if TYPE_CHECKING:
    import onnx

_TYPES = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 11: "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One node with what flows into it."""

    torch: Any
    kind: str
    values: list[Any]
    attributes: dict[str, Any]

    @classmethod
    def of(cls, torch: Any, node: "onnx.NodeProto", values: list[Any]) -> "Call":
        """Read a node's attributes."""
        from onnx import helper  # noqa: PLC0415 - optional

        told = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        return cls(torch=torch, kind=node.op_type, values=values, attributes=told)

    def tensor(self, index: int) -> Any:
        """Give an input as a tensor."""
        value = self.values[index]
        if not isinstance(value, np.ndarray | np.generic):
            return value
        return self.torch.from_numpy(np.array(value, order="C"))

    def has(self, index: int) -> bool:
        """Say whether an input is given."""
        return index < len(self.values) and self.values[index] is not None

    def ints(self, index: int, name: str) -> list[int] | None:
        """Give whole numbers that newer operators take as an input and older as an attribute."""
        if self.has(index):
            return [int(one) for one in np.asarray(self.values[index]).reshape(-1)]
        told = self.attributes.get(name)
        return None if told is None else [int(one) for one in told]

    def number(self, index: int) -> float | None:
        """Give an input of one stored number."""
        return float(np.asarray(self.values[index]).reshape(-1)[0]) if self.has(index) else None

    def refuse(self, what: str) -> InvalidModel:
        """Give the error for a form that this does not know."""
        hint = "leave LiteRT out, or give the torch module"
        return InvalidModel(f"{self.kind} {what}", where="model", hint=hint)


def linear(torch: Any, x: Any, weight: Any, bias: Any) -> Any:
    """Give x W' + b."""
    return torch.nn.functional.linear(x, weight, bias)


def scale_of(node: "onnx.NodeProto", width: int) -> float:
    """Give what an Attention of that width multiplies its scores by."""
    from onnx import helper  # noqa: PLC0415 - optional

    told = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    return float(told.get("scale", 0.0)) or (width / int(told["num_heads"])) ** -0.5


def attention(call: Call, own: tuple[Any, Any]) -> Any:
    """Give ONNX Runtime's Attention; `own` turns `x` into scaled queries, keys and values.

    By one product and one transpose, the fastest of the forms tried on LiteRT.
    """
    torch, x, heads = call.torch, call.tensor(0), int(call.attributes["num_heads"])
    count = x.shape[1]
    made = linear(torch, x, *own).reshape(x.shape[0], count, 3 * heads, -1).transpose(1, 2)
    q, k, v = torch.split(made, heads, 1)
    scores = q @ k.transpose(-1, -2)
    if call.has(3):
        fill = float(call.attributes.get("mask_filter_value", -10000.0))
        scores = scores + ((1.0 - call.tensor(3).to(x.dtype)) * fill)[:, None, None, :]
    if call.has(5):
        scores = scores + call.tensor(5)
    mixed = torch.softmax(scores, -1) @ v
    return mixed.transpose(1, 2).reshape(x.shape[0], count, -1)


def _cast(call: Call) -> Any:
    kind = _TYPES.get(int(call.attributes["to"]))
    if kind is None:
        raise call.refuse(f"to type {call.attributes['to']} is not known")
    return call.tensor(0).to(getattr(call.torch, kind))


def _clip(call: Call) -> Any:
    low = call.number(1) if call.has(1) else call.attributes.get("min")
    high = call.number(2) if call.has(2) else call.attributes.get("max")
    if (low, high) == (0.0, 6.0):
        return call.torch.nn.functional.relu6(call.tensor(0))
    return call.torch.clamp(call.tensor(0), low, high)


def _window(call: Call) -> tuple[list[int], list[int], list[int]]:
    """Give strides, dilations and padding, where it is the same on both sides."""
    rank = call.tensor(0).dim() - 2
    if call.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise call.refuse("with automatic padding is not known")
    pads = [int(one) for one in call.attributes.get("pads", [0] * 2 * rank)]
    strides = [int(one) for one in call.attributes.get("strides", [1] * rank)]
    dilations = [int(one) for one in call.attributes.get("dilations", [1] * rank)]
    return strides, dilations, pads


def _conv(call: Call) -> Any:
    functions = call.torch.nn.functional
    strides, dilations, pads = _window(call)
    x, weight = call.tensor(0), call.tensor(1)
    bias = call.tensor(2) if call.has(2) else None
    half = len(strides)
    if pads[:half] != pads[half:]:
        x = functions.pad(x, [one for i in reversed(range(half)) for one in pads[i::half]])
        pads = [0] * len(pads)
    apply = (functions.conv1d, functions.conv2d, functions.conv3d)[half - 1]
    groups = int(call.attributes.get("group", 1))
    return apply(x, weight, bias, strides, pads[:half], dilations, groups)


def _max_pool(call: Call) -> Any:
    strides, dilations, pads = _window(call)
    half = len(strides)
    if pads[:half] != pads[half:] or half != 2:
        raise call.refuse("with uneven padding, or not in two dimensions, is not known")
    size = [int(one) for one in call.attributes["kernel_shape"]]
    ceil = bool(call.attributes.get("ceil_mode", 0))
    pool = call.torch.nn.functional.max_pool2d
    return pool(call.tensor(0), size, strides, pads[:half], dilations, ceil)


def _gemm(call: Call) -> Any:
    told = call.attributes
    if (told.get("alpha", 1.0), told.get("beta", 1.0), told.get("transA", 0)) != (1.0, 1.0, 0):
        raise call.refuse("with factors or a turned first side is not known")
    weight = call.tensor(1)
    weight = weight if told.get("transB", 0) else weight.T
    return linear(call.torch, call.tensor(0), weight, call.tensor(2) if call.has(2) else None)


def _layer_norm(call: Call) -> Any:
    x, scale = call.tensor(0), call.tensor(1)
    bias = call.tensor(2) if call.has(2) else None
    axis, epsilon = call.attributes.get("axis", -1), call.attributes.get("epsilon", 1e-5)
    norm = call.torch.nn.functional.layer_norm
    return norm(x, list(x.shape[axis:]), scale, bias, float(epsilon))


def _gather(call: Call) -> Any:
    axis = int(call.attributes.get("axis", 0))
    if isinstance(call.values[1], np.ndarray):
        where, x = np.asarray(call.values[1]), call.tensor(0)
        if where.ndim == 0:
            return x.select(axis, int(where))
        axis %= x.dim()
        rows = call.torch.from_numpy(where.reshape(-1) % x.shape[axis])
        found = call.torch.index_select(x, axis, rows)
        return found.reshape(*x.shape[:axis], *where.shape, *x.shape[axis + 1 :])
    table = call.tensor(0)
    if axis != 0 or table.dim() != 2:
        raise call.refuse("along another axis than a table's rows is not known")
    return call.torch.nn.functional.embedding(call.tensor(1), table)


def _shape(call: Call) -> Any:
    sizes = [int(size) for size in call.tensor(0).shape]
    told = call.attributes
    return np.array(sizes[told.get("start", 0) : told.get("end", len(sizes))], dtype=np.int64)


def _slice(call: Call) -> Any:
    x, starts, ends = call.tensor(0), call.ints(1, "starts"), call.ints(2, "ends")
    assert starts is not None
    assert ends is not None
    axes = call.ints(3, "axes") or list(range(len(starts)))
    steps = call.ints(4, "steps") or [1] * len(starts)
    places = [slice(None)] * x.dim()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise call.refuse("backwards is not known")
        places[axis] = slice(start, min(end, x.shape[axis]), step)
    return x[tuple(places)]


def _reduced(name: str) -> Callable[[Call], Any]:
    def apply(call: Call) -> Any:
        x = call.tensor(0)
        axes = call.ints(1, "axes") or list(range(x.dim()))
        keep = bool(call.attributes.get("keepdims", 1))
        return getattr(call.torch, name)(x, dim=axes, keepdim=keep)

    return apply


def _reshape(call: Call) -> Any:
    x, sizes = call.tensor(0), call.ints(1, "shape")
    assert sizes is not None
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(sizes)])


def _split(call: Call) -> Any:
    x, axis, sizes = call.tensor(0), int(call.attributes.get("axis", 0)), call.ints(1, "split")
    if sizes is None:
        raise call.refuse("without sizes is not known")
    return call.torch.split(x, sizes, axis)


def _squeeze(call: Call) -> Any:
    x = call.tensor(0)
    axes = call.ints(1, "axes")
    return x.squeeze(axes if axes is not None else [])


def _unsqueeze(call: Call) -> Any:
    x, axes = call.tensor(0), call.ints(1, "axes")
    assert axes is not None
    for axis in sorted(one % (x.dim() + len(axes)) for one in axes):
        x = x.unsqueeze(axis)
    return x


def _where(call: Call) -> Any:
    return call.torch.where(call.tensor(0), call.tensor(1), call.tensor(2))


def _gelu(call: Call) -> Any:
    x = call.tensor(0)
    if call.has(1):
        x = x + call.tensor(1)
    return call.torch.nn.functional.gelu(x)


def _two(apply: Callable[[Any, Any, Any], Any]) -> Callable[[Call], Any]:
    """Both sides as tensors; a side that went into the product before is not there."""

    def run(call: Call) -> Any:
        if not call.has(0) or not call.has(1):
            return call.tensor(0 if call.has(0) else 1)
        return apply(call.torch, *(_side(call, index) for index in (0, 1)))

    return run


def _side(call: Call, index: int) -> Any:
    value = call.values[index]
    single = isinstance(value, np.ndarray) and value.ndim == 0
    return value.item() if single else call.tensor(index)


def _one(apply: Callable[[Any, Any], Any]) -> Callable[[Call], Any]:
    return lambda call: apply(call.torch, call.tensor(0))


def _flatten(call: Call) -> Any:
    x, axis = call.tensor(0), int(call.attributes.get("axis", 1))
    if axis == 1 and x.dim() > 1:
        return x.flatten(1)  # says no size, so that a tracer leaves the batch open
    return x.reshape(int(np.prod(x.shape[:axis], dtype=int)), -1)


OPERATORS: dict[str, Callable[[Call], Any]] = {
    "Add": _two(lambda _, a, b: a + b),
    "And": _two(lambda torch, a, b: torch.logical_and(a, b)),
    "Attention": lambda call: call.refuse("without stored weights is not known"),
    "BiasGelu": _gelu,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda call: call.torch.cat(
        [call.tensor(i) for i in range(len(call.values))], int(call.attributes["axis"])
    ),
    "Conv": _conv,
    "CumSum": lambda call: call.torch.cumsum(call.tensor(0), int(call.number(1) or 0)),
    "Div": _two(lambda _, a, b: a / b),
    "Equal": _two(lambda torch, a, b: torch.eq(a, b)),
    "Erf": _one(lambda torch, x: torch.erf(x)),
    "Expand": lambda call: call.tensor(0).broadcast_to(
        np.broadcast_shapes(tuple(call.tensor(0).shape), tuple(call.ints(1, "shape") or ()))
    ),
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": lambda call: call.torch.gather(
        call.tensor(0), int(call.attributes.get("axis", 0)), call.tensor(1)
    ),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _one(lambda _, x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True)),
    "Greater": _two(lambda torch, a, b: torch.gt(a, b)),
    "GreaterOrEqual": _two(lambda torch, a, b: torch.ge(a, b)),
    "Identity": _one(lambda _, x: x),
    "LayerNormalization": _layer_norm,
    "Less": _two(lambda torch, a, b: torch.lt(a, b)),
    "LessOrEqual": _two(lambda torch, a, b: torch.le(a, b)),
    "MatMul": _two(lambda _, a, b: a @ b),
    "Max": _two(lambda torch, a, b: torch.clamp(a, min=b)),
    "MaxPool": _max_pool,
    "Mul": _two(lambda _, a, b: a * b),
    "Not": _one(lambda torch, x: torch.logical_not(x)),
    "Or": _two(lambda torch, a, b: torch.logical_or(a, b)),
    "Pow": _two(lambda _, a, b: a**b),
    "ReduceMean": _reduced("mean"),
    "ReduceSum": _reduced("sum"),
    "Relu": _one(lambda torch, x: torch.relu(x)),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _one(lambda torch, x: torch.sigmoid(x)),
    "Slice": _slice,
    "Softmax": lambda call: call.torch.softmax(
        call.tensor(0), int(call.attributes.get("axis", -1))
    ),
    "Split": _split,
    "Sqrt": _one(lambda torch, x: torch.sqrt(x)),
    "Squeeze": _squeeze,
    "Sub": _two(lambda _, a, b: a - b),
    "Tanh": _one(lambda torch, x: torch.tanh(x)),
    "Transpose": lambda call: call.tensor(0).permute(*call.attributes["perm"]),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
    # made by `Shape` and of stored numbers alone: numpy works them out, never these
    **dict.fromkeys(("Constant", "ConstantOfShape", "Range"), lambda call: call.refuse("")),
}
"""By ONNX's names."""
