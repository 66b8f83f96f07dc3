"""ONNX operators written with torch's, for training: those that go to LiteRT, and some more.

Source: the ONNX operator specification (opset 13 to 20).
"""

from collections.abc import Callable
from typing import Any

from edgewise.optimize.mobile.torch_operators import OPERATORS, Call


def _gather(call: Call) -> Any:
    x, where = call.tensor(0), call.tensor(1)
    axis = int(call.attributes.get("axis", 0)) % x.dim()
    if axis == 0 and x.dim() == 2:
        return call.torch.nn.functional.embedding(where, x)
    flat = x.index_select(axis, where.reshape(-1) % x.shape[axis])
    return flat.reshape(*x.shape[:axis], *where.shape, *x.shape[axis + 1 :])


def _plain(name: str, count: int) -> Callable[[Call], Any]:
    """Call a function of torch on so many tensors."""
    return lambda call: getattr(call.torch, name)(*(call.tensor(i) for i in range(count)))


def _extreme(name: str) -> Callable[[Call], Any]:
    def apply(call: Call) -> Any:
        found = call.tensor(0)
        for index in range(1, len(call.values)):
            found = getattr(call.torch, name)(found, call.tensor(index))
        return found

    return apply


def _average_pool(call: Call) -> Any:
    told = call.attributes
    pads = [int(one) for one in told.get("pads", [0] * 4)]
    if len(told["kernel_shape"]) != 2 or pads[:2] != pads[2:] or told.get("ceil_mode", 0):
        raise call.refuse("with uneven padding, or not in two dimensions, can't be trained")
    return call.torch.nn.functional.avg_pool2d(
        call.tensor(0),
        [int(one) for one in told["kernel_shape"]],
        [int(one) for one in told.get("strides", [1, 1])],
        pads[:2],
        count_include_pad=bool(told.get("count_include_pad", 0)),
    )


def _split(call: Call) -> Any:
    x, axis, sizes = call.tensor(0), int(call.attributes.get("axis", 0)), call.ints(1, "split")
    if sizes is None:
        parts = int(call.attributes.get("num_outputs", 0))
        if not parts:
            raise call.refuse("without sizes can't be trained")
        sizes = [-(-x.shape[axis] // parts)] * parts
        sizes[-1] = x.shape[axis] - sum(sizes[:-1])
    return call.torch.split(x, sizes, axis)


def _leaky(call: Call) -> Any:
    slope = float(call.attributes.get("alpha", 0.01))
    return call.torch.nn.functional.leaky_relu(call.tensor(0), slope)


def _hard_sigmoid(call: Call) -> Any:
    alpha = float(call.attributes.get("alpha", 0.2))
    beta = float(call.attributes.get("beta", 0.5))
    return (call.tensor(0) * alpha + beta).clamp(0.0, 1.0)


TRAINABLE: dict[str, Callable[[Call], Any]] = {
    **OPERATORS,
    **{name: _plain(name.lower(), 1) for name in ("Abs", "Exp", "IsNaN", "Log", "Neg")},
    "And": _plain("logical_and", 2),
    "AveragePool": _average_pool,
    "Dropout": lambda call: call.tensor(0),  # of a model that answers: nothing is dropped
    "Gather": _gather,
    "Greater": _plain("gt", 2),
    "GreaterOrEqual": _plain("ge", 2),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda call: call.torch.nn.functional.hardswish(call.tensor(0)),
    "LeakyRelu": _leaky,
    "Less": _plain("lt", 2),
    "LessOrEqual": _plain("le", 2),
    "Max": _extreme("maximum"),
    "Min": _extreme("minimum"),
    "Or": _plain("logical_or", 2),
    "Split": _split,
}
"""By ONNX's names."""
