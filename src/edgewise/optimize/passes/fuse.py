"""Constant folding and fusion: fewer, larger operators that give the same numbers.

Standard operators: constants are worked out, BatchNormalization goes into the convolution before
it, and queries, keys and values become one MatMul. With `for_onnxruntime`, ONNX Runtime's own
operators too: Attention, BiasGelu and Gelu, and with `norms` SkipLayerNormalization and
EmbedLayerNormalization; such a model runs on ONNX Runtime alone. Batch and sequence stay dynamic:
no size is written in, so a short input is never padded.

`norms` is off by default: ONNX Runtime 1.32's SkipLayerNormalization is slower on CPU than the Add
and LayerNormalization that it replaces (a tenth of MiniLM's time in float, a quarter in INT8). The
runtime would make it by itself where it knows shapes, so none are noted here.

Source: ONNX Runtime's transformer optimizer, whose patterns do not match opset 17's
LayerNormalization over a dynamic length and which needs packages that this does not.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgewise.optimize.graphs.attention import Attention, find_attention
from edgewise.optimize.graphs.batch_norm import fold_batch_norms
from edgewise.optimize.graphs.linears import linear_to
from edgewise.optimize.graphs.wiring import Wiring, attribute

NAME = "fuse"
_ORT = "com.microsoft"
_FOLDED_BYTES = 1 << 20
_CHANCE = ("RandomNormal", "RandomUniform", "Multinomial", "Bernoulli", "RandomNormalLike")


def fuse(
    model: onnx.ModelProto, *, for_onnxruntime: bool = True, norms: bool = False
) -> onnx.ModelProto:
    """Give a model of fewer operators with the same outputs to 1e-5.

    Parameters
    ----------
    for_onnxruntime
        Use operators that only ONNX Runtime has. They must come after every pass that looks for
        standard operators: pruning above all.
    norms
        Fuse sums and embedding lookups into the normalizations after them; only together with
        `for_onnxruntime`.
    """
    wiring = Wiring(fold_batch_norms(model))
    _fold(wiring)
    for block in find_attention(wiring):
        if not (for_onnxruntime and _fuse_attention(wiring, block)):
            _merge_projections(wiring, block)
    if for_onnxruntime:
        _fuse_gelus(wiring)
    if for_onnxruntime and norms:
        _fuse_norms(wiring)
        _fuse_embeddings(wiring)
    return _with_types(model, wiring.finish())


def _with_types(given: onnx.ModelProto, made: onnx.ModelProto) -> onnx.ModelProto:
    """Note the types, without shapes, that inference can't see past ONNX Runtime's operators."""
    inferred = onnx.shape_inference.infer_shapes(given).graph.value_info
    present = {name for node in made.graph.node for name in node.output}
    present -= {value.name for value in made.graph.output}
    del made.graph.value_info[:]
    for value in inferred:
        if value.name in present:
            kind = value.type.tensor_type.elem_type
            made.graph.value_info.append(helper.make_tensor_value_info(value.name, kind, None))
    return made


def _fold(wiring: Wiring) -> None:
    """Work out what depends on constants alone, unless that makes the file larger."""
    gone = []
    for node in wiring.nodes:
        names = [name for name in node.input if name]
        fixed = all(name in wiring.weights for name in names) and not wiring.outputs & set(
            node.output
        )
        if not fixed or not names or node.domain or node.op_type in _CHANCE:
            continue
        if any(held.HasField("g") for held in node.attribute):
            continue
        values = [wiring.value(name) for name in names]
        try:
            made = ReferenceEvaluator(node).run(None, dict(zip(names, values, strict=True)))
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            continue  # the reference does not know this operator's version: it stays
        grown = sum(np.asarray(v).nbytes for v in made) - sum(
            v.nbytes for v in values if v is not None
        )
        if grown > _FOLDED_BYTES:
            continue
        for name, value in zip(node.output, made, strict=True):
            wiring.weights[name] = numpy_helper.from_array(np.asarray(value), name)
        gone.append(node)
    wiring.drop(gone)


def _merge_projections(wiring: Wiring, block: Attention) -> None:
    """Make queries, keys and values with one MatMul and a Split."""
    parts = (block.query, block.key, block.value)
    if len({id(part.node) for part in parts}) < 3:
        return
    weight = np.concatenate([part.weight(wiring) for part in parts], axis=1)
    bias = np.concatenate([part.bias(wiring) for part in parts])
    product = wiring.add_node("MatMul", [block.x, wiring.add_weight(weight, "qkv.weight")])
    total = wiring.add_node("Add", [product, wiring.add_weight(bias, "qkv.bias")])
    width = weight.shape[1] // 3
    sizes = wiring.add_weight(np.asarray([width] * 3, dtype=np.int64), "qkv.sizes")
    made = helper.make_node("Split", [total, sizes], [wiring.fresh("part") for _ in parts], axis=-1)
    wiring.nodes.append(made)
    for part, name in zip(parts, made.output, strict=True):
        wiring.bypass(part.y, name)


def _fuse_attention(wiring: Wiring, block: Attention) -> bool:
    if not block.plain or len(block.additions) > 1:
        return False
    mask, bias, fill = "", "", -10000.0
    if block.additions:
        node, index = block.additions[0]
        found = _read_mask(wiring, node.input[index])
        if found is None:
            return False
        mask, bias, fill = found
    parts = (block.query, block.key, block.value)
    weight = np.concatenate([part.weight(wiring) for part in parts], axis=1)
    total = np.concatenate([part.bias(wiring) for part in parts])
    inputs = [
        block.x,
        wiring.add_weight(weight, "qkv.weight"),
        wiring.add_weight(total, "qkv.bias"),
        _as_int32(wiring, mask) if mask else "",
        "",
        bias,
    ]
    while not inputs[-1]:
        inputs.pop()
    merged = block.merge.output[0]
    wiring.drop([block.merge])
    wiring.add_node(
        "Attention",
        inputs,
        merged,
        domain=_ORT,
        num_heads=block.heads,
        scale=float(block.scale),
        mask_filter_value=fill,
    )
    wiring.reindex()
    return True


def _read_mask(wiring: Wiring, name: str) -> tuple[str, str, float] | None:
    """Read an addition to the scores as (mask of 0 and 1, bias, what is added where it is 0)."""
    node = wiring.maker(name, "Add")
    if node is not None:
        for index in (0, 1):
            found = _read_padding(wiring, node.input[index])
            if found is not None:
                return found[0], node.input[1 - index], found[1]
        return None
    found = _read_padding(wiring, name)
    return (found[0], "", found[1]) if found is not None else None


def _read_padding(wiring: Wiring, name: str) -> tuple[str, float] | None:
    """Read `unsqueeze((1 - mask) * fill)` with the steps in either order."""
    fill: float | None = None
    lifted = reversed_mask = False
    for _ in range(6):
        node = wiring.makers.get(name)
        if node is None:
            break
        if node.op_type == "Mul":
            sides = wiring.operands(node)
            fill = wiring.scalar(sides[1]) if sides is not None else None
            if sides is None or fill is None:
                return None
            name = sides[0]
        elif node.op_type == "Sub":
            if wiring.scalar(node.input[0]) != 1.0:
                return None
            reversed_mask, name = True, node.input[1]
        elif node.op_type == "Unsqueeze":
            lifted, name = True, node.input[0]
        elif node.op_type == "Cast":
            name = node.input[0]
        else:
            return None
    shape = wiring.shape(name)
    good = name in wiring.inputs and shape is not None and len(shape) == 2
    if not good or not lifted or not reversed_mask or fill is None or fill > -1000:
        return None
    return name, fill


def _as_int32(wiring: Wiring, name: str) -> str:
    made = f"{name}//int32"
    if made not in wiring.makers:
        wiring.add_node("Cast", [name], made, to=TensorProto.INT32)
    return made


def _fuse_gelus(wiring: Wiring) -> None:
    """`x * (erf(x / sqrt 2) + 1) * 0.5` in any order of its products."""
    for erf in [node for node in wiring.nodes if node.op_type == "Erf"]:
        inside = wiring.maker(erf.input[0], "Div", "Mul")
        sides = wiring.operands(inside) if inside is not None else None
        if inside is None or sides is None:
            continue
        factor = wiring.scalar(sides[1]) or 0.0
        expected = np.sqrt(2.0) if inside.op_type == "Div" else np.sqrt(0.5)
        plus = wiring.only_reader(erf.output[0], "Add")
        plus_sides = wiring.operands(plus) if plus is not None else None
        if abs(factor - expected) > 1e-4 or plus is None or plus_sides is None:
            continue
        if wiring.scalar(plus_sides[1]) != 1.0:
            continue
        end = _gelu_end(wiring, sides[0], plus.output[0])
        if end is None:
            continue
        made = end.output[0]
        wiring.drop([end])
        split = _split_bias(wiring, sides[0])
        if split is not None:
            wiring.add_node("BiasGelu", [*split], made, domain=_ORT)
        else:
            wiring.add_node("Gelu", [sides[0]], made, domain=_ORT)
        wiring.reindex()


def _split_bias(wiring: Wiring, y: str) -> tuple[str, str] | None:
    """Part a linear layer's output into (product, bias) where an Add joins them."""
    layer = linear_to(wiring, y)
    if layer is None or layer.bias_node is None or layer.bias_node is layer.node:
        return None
    bias = layer.bias_node.input[layer.bias_index]
    shape = wiring.shape(bias)
    return (layer.node.output[0], bias) if shape is not None and len(shape) == 1 else None


def _gelu_end(wiring: Wiring, x: str, plus: str) -> onnx.NodeProto | None:
    halved, times_x, at = False, False, plus
    for _ in range(2):
        node = wiring.only_reader(at, "Mul")
        if node is None:
            return None
        other = node.input[1] if node.input[0] == at else node.input[0]
        if wiring.scalar(other) == 0.5 and not halved:
            halved = True
        elif other == x and not times_x:
            times_x = True
        elif not times_x and not halved and _is_half_of(wiring, other, x):
            return node
        else:
            return None
        at = node.output[0]
        if halved and times_x:
            return node
    return None


def _is_half_of(wiring: Wiring, name: str, x: str) -> bool:
    node = wiring.maker(name, "Mul")
    sides = wiring.operands(node) if node is not None else None
    return sides is not None and sides[0] == x and wiring.scalar(sides[1]) == 0.5


def _fuse_norms(wiring: Wiring) -> None:
    """Join a LayerNormalization with the sum before it and a linear layer's bias in that."""
    for norm in [node for node in wiring.nodes if node.op_type == "LayerNormalization"]:
        add = wiring.maker(norm.input[0], "Add")
        if add is None or wiring.only_reader(norm.input[0]) is None or len(norm.input) < 3:
            continue
        if wiring.operands(add) is not None or attribute(norm, "axis", -1) != -1:
            continue
        if any(name in wiring.weights or not _is_deep(wiring, name) for name in add.input):
            continue
        inputs = [add.input[1], add.input[0], *norm.input[1:3]]
        split = _split_bias(wiring, inputs[0])
        if split is not None:
            inputs = [split[0], *inputs[1:], split[1]]
        epsilon = attribute(norm, "epsilon", 1e-5)
        made = norm.output[0]
        wiring.drop([norm])
        wiring.add_node("SkipLayerNormalization", inputs, made, domain=_ORT, epsilon=epsilon)
        wiring.reindex()


def _is_deep(wiring: Wiring, name: str) -> bool:
    """Say whether a tensor is (n, s, d) as the fused norm needs; sums of embeddings are not."""
    shape = wiring.shape(name)
    node = wiring.makers.get(name)
    made = node is not None and node.op_type not in ("Gather", "Slice")
    if node is not None and node.op_type == "Add" and wiring.operands(node) is None:
        made = all(_is_deep(wiring, part) for part in node.input)
    return made and (shape is None or len(shape) == 3)


def _fuse_embeddings(wiring: Wiring) -> None:
    """Words, positions from 0 up and token types, summed and normalized."""
    for norm in [node for node in wiring.nodes if node.op_type == "LayerNormalization"]:
        tables = _summed_tables(wiring, norm.input[0])
        words = [t for t in tables if t[0] == "Gather" and t[2] == "input_ids"]
        types = [t for t in tables if t[0] == "Gather" and t[2] == "token_type_ids"]
        places = [t for t in tables if t[0] == "Slice"]
        if len(words) != 1 or len(places) != 1 or len(words + types + places) != len(tables):
            continue
        segment = [_as_int32(wiring, types[0][2]), types[0][1]] if types else ["", ""]
        ids = _as_int32(wiring, words[0][2])
        inputs = [ids, segment[0], words[0][1], places[0][1], segment[1], *norm.input[1:3]]
        epsilon = attribute(norm, "epsilon", 1e-5)
        made = norm.output[0]
        wiring.drop([norm])
        node = helper.make_node(
            "EmbedLayerNormalization", inputs, [made, ""], domain=_ORT, epsilon=epsilon
        )
        node.output[1] = wiring.fresh("mask_index")
        wiring.nodes.append(node)
        wiring.reindex()


def _summed_tables(wiring: Wiring, name: str) -> list[tuple[str, str, str]]:
    """Take a sum apart into (operator, table, index); one empty entry where it is no lookup."""
    node = wiring.makers.get(name)
    if node is None or len(wiring.readers.get(name, [])) != 1:
        return [("", "", "")]
    if node.op_type == "Add":
        return [*_summed_tables(wiring, node.input[0]), *_summed_tables(wiring, node.input[1])]
    table = wiring.value(node.input[0])
    if table is None or table.ndim != 2:
        return [("", "", "")]
    if node.op_type == "Gather" and attribute(node, "axis", 0) == 0:
        return [("Gather", node.input[0], node.input[1])]
    if node.op_type == "Slice" and _is_from_start(wiring, node):
        return [("Slice", node.input[0], node.input[2])]
    return [("", "", "")]


def _is_from_start(wiring: Wiring, node: onnx.NodeProto) -> bool:
    """Say whether rows 0 up to the length of `input_ids` are taken."""
    if len(node.input) != 4 or wiring.scalar(node.input[1]) != 0 or wiring.scalar(node.input[3]):
        return False
    length = wiring.maker(node.input[2], "Shape")
    return length is not None and length.input[0] == "input_ids" and attribute(length, "start") == 1
