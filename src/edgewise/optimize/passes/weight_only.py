"""Weights in 4 or 8 bits by blocks; activations stay in float.

Each run of `block_size` weights that are summed together shares a scale, and a zero point where it
is not symmetric. Products become ONNX Runtime's `MatMulNBits`, embedding tables
`GatherBlockQuantized`, both of which unpack the weights they need as they go. Source: those two
operators' definitions; the idea is Dettmers et al. 2022, "The case for 4-bit precision".
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.graphs.model_checks import check_loads, check_names, copy_model, weights_of
from edgewise.optimize.graphs.wiring import reads_of

if TYPE_CHECKING:
    import onnx

NAME_INT4 = "int4-weights"
NAME_INT8 = "int8-weights"
DOMAIN = "com.microsoft"
_BLOCKS = (16, 32, 64, 128, 256)
_COMPUTE_IN_INT8 = 4


class Blocks(NamedTuple):
    """A matrix (rows, width) in blocks along its width, packed as the operators read it."""

    packed: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8] | None


def quantize_weights(
    model: "onnx.ModelProto",
    *,
    bits: int = 4,
    block_size: int = 32,
    symmetric: bool = False,
    int8_products: bool = False,
    keep_float: Sequence[str] = (),
) -> "onnx.ModelProto":
    """Give the model with its weights in blocks of few bits.

    Parameters
    ----------
    bits
        4 or 8.
    block_size
        A power of two from 16 to 256.
    symmetric
        Store no zero points; a little smaller and a little less exact.
    int8_products
        Let the kernel quantize activations to 8 bits by block as they come; faster with VNNI.
    keep_float
        Names of nodes to leave as they are; all of them may be.

    Raises
    ------
    InvalidModel
        When no product or table has a stored weight, or ONNX Runtime has no kernel for it.
    UsageError
        When `bits` or `block_size` is none of those.
    """
    if bits not in (4, 8):
        raise UsageError(f"{bits} bits are not offered", where="bits", hint="give 4 or 8")
    if block_size not in _BLOCKS:
        what = f"a block of {block_size} weights is not offered"
        hint = f"give one of {', '.join(map(str, _BLOCKS))}"
        raise UsageError(what, where="block_size", hint=hint)
    found = copy_model(model)
    check_names(found, keep_float)
    maker = _Maker(found, bits, block_size, symmetric=symmetric, int8_products=int8_products)
    nodes: list[onnx.NodeProto] = []
    for node in found.graph.node:
        nodes += [node] if node.name in keep_float else maker.replace(node)
    if not maker.done and not keep_float:
        what = "no product or table with a stored weight to quantize"
        raise InvalidModel(what, where="model", hint="leave this pass out for this model")
    return check_loads(maker.finish(nodes))


def pack(matrix: NDArray[np.float32], bits: int, block_size: int, *, symmetric: bool) -> Blocks:
    """Quantize a matrix (rows, width) in blocks along its width.

    Returns
    -------
    Blocks
        `packed` is (rows, blocks, block_size * bits / 8), low bits first; `scales` (rows, blocks);
        `zeros` (rows, ceil(blocks * bits / 8)).
    """
    rows, width = matrix.shape
    count = -(-width // block_size)
    padded = np.zeros((rows, count * block_size), np.float32)
    padded[:, :width] = matrix
    blocks = padded.reshape(rows, count, block_size)
    top, middle = 2**bits - 1, 2 ** (bits - 1)
    if symmetric:
        largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)[..., 0]
        scales, zeros = largest / -middle, np.full((rows, count), middle, np.float32)
    else:
        low, high = np.minimum(blocks.min(-1), 0), np.maximum(blocks.max(-1), 0)
        scales = (high - low) / top
        zeros = np.round(-low / np.where(scales == 0, 1, scales))
    safe = np.where(scales == 0, 1, scales)
    levels = np.round(blocks / safe[..., None]) + zeros[..., None]
    stored = np.clip(levels, 0, top).astype(np.uint8)
    packed = stored if bits == 8 else _nibbles(stored)
    if symmetric:
        return Blocks(packed, scales.astype(np.float32), None)
    kept = zeros.astype(np.uint8)
    return Blocks(packed, scales.astype(np.float32), kept if bits == 8 else _nibbles(kept))


def _nibbles(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    pairs: NDArray[np.uint8] = np.bitwise_or(values[..., 0::2], values[..., 1::2] * np.uint8(16))
    return pairs


class _Maker:
    def __init__(
        self,
        model: "onnx.ModelProto",
        bits: int,
        block_size: int,
        *,
        symmetric: bool,
        int8_products: bool,
    ) -> None:
        self._model, self._bits, self._size = model, bits, block_size
        self._symmetric, self._int8_products = symmetric, int8_products
        self._weights = weights_of(model)
        self._added: dict[str, NDArray[Any]] = {}
        self.done = 0

    def replace(self, node: "onnx.NodeProto") -> list["onnx.NodeProto"]:
        """Give what stands for a node; the node itself where it has no stored weight."""
        table = self._weights.get(node.input[0]) if node.op_type == "Gather" else None
        if table is not None and table.ndim == 2 and table.shape[1] % 2 == 0:
            return self._gather(node, table) if not _attribute(node, "axis", 0) else [node]
        if node.op_type not in ("MatMul", "Gemm"):
            return [node]
        weight = self._weights.get(node.input[1])
        if weight is None or weight.ndim != 2:
            return [node]
        if node.op_type == "MatMul":
            return [self._product(node, weight.T, node.output[0])]
        plain = _attribute(node, "alpha", 1.0) == 1 == _attribute(node, "beta", 1.0)
        if not plain or _attribute(node, "transA", 0):
            return [node]
        return self._gemm(node, weight if _attribute(node, "transB", 0) else weight.T)

    def finish(self, nodes: list["onnx.NodeProto"]) -> "onnx.ModelProto":
        """Give the model with `nodes` for its own, without weights that none reads."""
        with extras.needed("optimize"):
            from onnx import helper, numpy_helper  # noqa: PLC0415 - optional

        graph = self._model.graph
        made = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(made)
        used = {name for node in made for name in reads_of(node)}
        kept = [one for one in graph.initializer if one.name in used]
        kept += [numpy_helper.from_array(value, name) for name, value in self._added.items()]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        if all(one.domain != DOMAIN for one in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        return self._model

    def _stored(self, name: str, matrix: NDArray[np.float32]) -> tuple[Blocks, list[str]]:
        blocks = pack(matrix, self._bits, self._size, symmetric=self._symmetric)
        names = [f"{name}.blocks", f"{name}.scales", f"{name}.zeros"]
        for key, value in zip(names, blocks, strict=True):
            if value is not None:
                self._added[key] = value
        self.done += 1
        return blocks, names if blocks.zeros is not None else names[:2]

    def _product(
        self, node: "onnx.NodeProto", matrix: NDArray[np.float32], output: str
    ) -> "onnx.NodeProto":
        from onnx import helper  # noqa: PLC0415 - optional

        _, names = self._stored(f"{node.name}.{node.input[1]}", matrix)
        more: dict[str, Any] = {"accuracy_level": _COMPUTE_IN_INT8} if self._int8_products else {}
        return helper.make_node(
            "MatMulNBits",
            [node.input[0], *names],
            [output],
            name=node.name,
            domain=DOMAIN,
            K=matrix.shape[1],
            N=matrix.shape[0],
            bits=self._bits,
            block_size=self._size,
            **more,
        )

    def _gemm(self, node: "onnx.NodeProto", matrix: NDArray[np.float32]) -> list["onnx.NodeProto"]:
        from onnx import helper  # noqa: PLC0415 - optional

        if len(node.input) < 3 or not node.input[2]:
            return [self._product(node, matrix, node.output[0])]
        product = f"{node.output[0]}.product"
        add = helper.make_node(
            "Add", [product, node.input[2]], [node.output[0]], name=f"{node.name}.bias"
        )
        return [self._product(node, matrix, product), add]

    def _gather(self, node: "onnx.NodeProto", table: NDArray[np.float32]) -> list["onnx.NodeProto"]:
        from onnx import helper  # noqa: PLC0415 - optional

        blocks, names = self._stored(f"{node.name}.{node.input[0]}", table)
        # the operator wants rows without padding
        flat = blocks.packed.reshape(len(table), -1)[:, : table.shape[1] * self._bits // 8]
        self._added[names[0]] = np.ascontiguousarray(flat)
        made = helper.make_node(
            "GatherBlockQuantized",
            [names[0], node.input[1], *names[1:]],
            [node.output[0]],
            name=node.name,
            domain=DOMAIN,
            bits=self._bits,
            block_size=self._size,
            gather_axis=0,
            quantize_axis=1,
        )
        return [made]


def _attribute(node: "onnx.NodeProto", name: str, default: float) -> float:
    for one in node.attribute:
        if one.name == name:
            return float(one.f if isinstance(default, float) else one.i)
    return default
