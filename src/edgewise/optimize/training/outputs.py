"""What a module gives for a batch: logits, and where asked for hidden states and attention."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewise import extras
from edgewise.errors import InvalidModel

with extras.needed("torch"):
    import torch
    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Tensors of one run; hidden (n, s, d) and attention (n, heads, s, s) a layer each."""

    logits: Any
    hidden: tuple[Any, ...] = ()
    attention: tuple[Any, ...] = ()


def run(
    module: nn.Module, inputs: Mapping[str, Any], *, hidden: bool = False, attention: bool = False
) -> Outputs:
    """Run a module on a batch.

    A module takes the inputs that its `forward` names, or all by position where it names none.

    Parameters
    ----------
    hidden, attention
        Asked of modules made by transformers, or whose `forward` takes `output_hidden_states` and
        `output_attentions` and gives an object with `logits`, `hidden_states` and `attentions`.

    Raises
    ------
    InvalidModel
        When the output holds no logits of shape (n, classes), or not what was asked for.
    """
    name = type(module).__name__
    if (hidden or attention) and not hasattr(module, "config"):
        hint = "set the weights of `hidden` and `attention` to 0, or give a module of transformers"
        raise InvalidModel("it can't be asked for its inner states", where=name, hint=hint)
    found = call(module, inputs, hidden=hidden, attention=attention)
    logits = found if isinstance(found, torch.Tensor) else getattr(found, "logits", None)
    if logits is None and isinstance(found, (tuple, list)) and found:
        logits = found[0]
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        hint = "give a module whose output is the logits, or has them as `logits`"
        raise InvalidModel("its output has no logits of shape (n, classes)", where=name, hint=hint)
    states = tuple(getattr(found, "hidden_states", None) or ())[1:] if hidden else ()
    shares = tuple(getattr(found, "attentions", None) or ()) if attention else ()
    for asked, values, what in ((hidden, states, "hidden"), (attention, shares, "attention")):
        if asked and (not values or any(one is None for one in values)):
            hint = f"set the weight of `{what}` to 0, or give a module of transformers"
            raise InvalidModel(f"it does not give its {what} states", where=name, hint=hint)
    return Outputs(logits=logits, hidden=states, attention=shares)


def call(
    module: nn.Module, inputs: Mapping[str, Any], *, hidden: bool = False, attention: bool = False
) -> Any:
    """Call a module with the inputs that it takes."""
    names = inspect.signature(module.forward).parameters
    taken = {name: value for name, value in inputs.items() if name in names}
    if not taken:
        return module(*inputs.values())
    asked: dict[str, bool] = {}
    if hidden:
        asked["output_hidden_states"] = True
    if attention:
        asked["output_attentions"] = True
    return module(**taken, **asked)
