"""Students of a teacher made by transformers: a truncated copy, or a fresh one of another shape."""

import copy
from typing import Any

from edgewise import extras
from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.training.objective import matching_layer
from edgewise.optimize.training.records import StudentShape

with extras.needed("torch"):
    import torch
    from torch import nn

_DEPTH = ("num_hidden_layers", "n_layers")
_WIDTH = ("hidden_size", "dim")
_HEADS = ("num_attention_heads", "n_heads")
_FFN = ("intermediate_size", "hidden_dim")


def make_student(teacher: nn.Module, shape: StudentShape, *, seed: int = 0) -> nn.Module:
    """Make a student of a shape, with the teacher's labels and vocabulary.

    Where width, heads and ffn are the teacher's own, layers of the teacher are copied, spread
    evenly up to its last; a student of another width starts from nothing.

    Raises
    ------
    InvalidModel
        When the teacher is not a stack of layers made by transformers.
    UsageError
        When the shape can't be: more layers than the teacher has, or heads that don't divide the
        width.
    """
    config = getattr(teacher, "config", None)
    if config is None or _named(config, _DEPTH) is None:
        what = f"`{type(teacher).__name__}` has no configuration that says its depth"
        raise InvalidModel(what, where="teacher", hint="give the student as a module")
    layers = find_layers(teacher)
    if shape.depth > len(layers):
        what = f"the student has {shape.depth} layers and the teacher {len(layers)}"
        raise UsageError(what, where="StudentShape.depth", hint=f"give 1..{len(layers)}")
    made = copy.deepcopy(config)
    changed = False
    for names, wanted in ((_WIDTH, shape.width), (_HEADS, shape.heads), (_FFN, shape.ffn)):
        if wanted is not None and getattr(made, str(_named(made, names))) != wanted:
            setattr(made, str(_named(made, names)), wanted)
            changed = True
    width, heads = (
        getattr(made, str(_named(made, _WIDTH))),
        getattr(made, str(_named(made, _HEADS))),
    )
    if width % heads:
        what = f"{heads} heads don't divide a width of {width}"
        raise UsageError(what, where="StudentShape", hint="give a width that the heads divide")
    setattr(made, str(_named(made, _DEPTH)), shape.depth)
    if not changed:
        return _truncated(teacher, made, shape.depth)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return type(teacher)(made).eval()


def find_layers(module: nn.Module) -> nn.ModuleList:
    """Find the list of a module's layers: the one whose length the configuration says."""
    config: Any = getattr(module, "config", None)
    name = _named(config, _DEPTH)
    depth = getattr(config, name) if name else 0
    for one in module.modules():
        if isinstance(one, nn.ModuleList) and len(one) == depth > 0:
            return one
    what = f"`{type(module).__name__}` has no list of {depth} layers"
    raise InvalidModel(what, where="teacher", hint="give the student as a module")


def _truncated(teacher: nn.Module, config: Any, depth: int) -> nn.Module:
    student = copy.deepcopy(teacher)
    layers = find_layers(student)
    kept = [layers[matching_layer(i, depth, len(layers))] for i in range(depth)]
    # The list itself is changed, so whoever else holds it sees the same layers.
    del layers[depth:]
    for index, layer in enumerate(kept):
        layers[index] = layer
    for one in student.modules():
        own = getattr(one, "config", None)
        name = _named(own, _DEPTH)
        if own is not None and name:
            setattr(own, name, depth)
    del config
    return student.eval()


def _named(config: Any, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if getattr(config, name, None) is not None), None)
