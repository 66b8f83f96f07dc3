"""What a torch module holds, as a hash; of a factory, nobody else knows what weights it reads."""

import hashlib
import sys
from pathlib import Path

from edgewise import extras
from edgewise.optimize.sources.torch_module import load_factory

with extras.needed("torch"):
    import torch
    from torch import nn


def hash_tensors(module: nn.Module) -> str:
    """Hash a module's parameters and buffers, by name."""
    whole = hashlib.sha256()
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        plain = value.detach().cpu().contiguous().reshape(-1)
        whole.update(f"\0{name} {plain.dtype} {tuple(value.shape)}\0".encode())
        whole.update(plain.view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def hash_factory(name: str) -> str:
    """Call `package.module:factory` and hash the weights, the shape and the code of its module.

    Raises
    ------
    InvalidModel
        As `load_factory`.
    """
    module = load_factory(name)
    whole = hashlib.sha256((repr(module) + hash_tensors(module)).encode())
    kinds = {type(one).__module__ for one in module.modules()}
    own = sorted(kind for kind in kinds if kind.partition(".")[0] != "torch")
    for file in (getattr(sys.modules.get(kind), "__file__", None) for kind in own):
        whole.update(Path(file).read_bytes() if file and Path(file).is_file() else b"")
    return whole.hexdigest()
