"""A Hugging Face directory that `bert.py` can't write becomes ONNX through transformers and torch.

Image classifiers, text classifiers and encoders of any family whose module can be exported.
Weights come from safetensors files, and no code that lies in the directory is run.
"""

import inspect
import io
import re
import warnings
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.sources.families import model_type
from edgewise.optimize.sources.onnx_file import OnnxSource
from edgewise.optimize.sources.torch_module import TEXT_INPUTS, open_module
from edgewise.runtimes.protocol import Tensors

with extras.needed("torch"):
    import transformers

_BATCH, _LENGTH, _SIDE, _CHANNELS = 2, 8, 224, 3
_LONGEST = 512


def open_folder(
    folder: Path, labels: tuple[str, ...], example: Tensors | None = None
) -> OnnxSource:
    """Make a source of a Hugging Face directory.

    Parameters
    ----------
    labels
        Those that the data has; a classifier's own names come before them.
    example
        An image classifier's input, whose size it will take; by default of the size that
        `config.json` says, or 224.

    Raises
    ------
    InvalidModel
        When transformers can't load it, or it can't be exported.
    """
    where = str(folder / "config.json")
    try:
        # It draws its progress on the terminal.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            kind = _kind(config)
            module = getattr(transformers, kind).from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True
            )
    except Exception as broken:
        lines = [line for line in str(broken).splitlines() if line.strip()]
        kind = model_type(folder)
        what = f"model_type `{kind}`: transformers can't load it: {(lines or ['unknown'])[0][:160]}"
        hint = "give a whole model folder with model.safetensors, or export it to ONNX"
        raise InvalidModel(what, where=where, hint=hint) from broken
    named = config.id2label if kind.endswith("Classification") else {}
    own = tuple(str(named[index]) for index in sorted(named))
    source = open_module(
        # It comes in the type that it was stored in; recipes begin with 32 bits.
        module.float().eval(),
        own or labels,
        _example(module, config, example),
        folder=folder,
        max_length=_max_length(module, config),
    )
    if own and all(re.fullmatch(r"LABEL_\d+", name) for name in own) and len(own) == len(labels):
        # Nobody named them, so the data's names stand.
        source.labels = labels
    return source


def _kind(config: Any) -> str:
    """Name the class of transformers that gives logits, or the bare model's."""
    for name in config.architectures or ():
        for task in ("ImageClassification", "SequenceClassification"):
            if name.endswith(f"For{task}"):
                return f"AutoModelFor{task}"
    return "AutoModel"


def _example(module: Any, config: Any, given: Tensors | None) -> Tensors:
    if module.main_input_name == "pixel_values" and given:
        return {"pixel_values": next(iter(given.values()))}
    if module.main_input_name == "pixel_values":
        side = getattr(config, "image_size", _SIDE) or _SIDE
        height, width = side if isinstance(side, (list, tuple)) else (side, side)
        shape = (_BATCH, getattr(config, "num_channels", _CHANNELS), height, width)
        pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        return {"pixel_values": pixels}
    names = inspect.signature(module.forward).parameters
    ids = np.arange(_BATCH * _LENGTH, dtype=np.int64).reshape(_BATCH, _LENGTH)
    made = {
        "input_ids": ids % min(config.vocab_size, 100),
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    has_types = getattr(config, "type_vocab_size", 0) > 0
    return {
        name: made[name]
        for name in TEXT_INPUTS
        if name in names and (has_types or name != "token_type_ids")
    }


def _max_length(module: Any, config: Any) -> int | None:
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return None
    # Families that count positions from the padding's id have a row for it, and none before.
    tables = (one for name, one in module.named_modules() if name.endswith("position_embeddings"))
    pads = [pad for one in tables if (pad := getattr(one, "padding_idx", None)) is not None]
    return int(min(_LONGEST, positions - (max(pads) + 1 if pads else 0)))
