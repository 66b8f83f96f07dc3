"""Edgewise decides, for each model and each request, where AI inference runs.

Public names load on first use (PEP 562), so `import edgewise` brings in nothing heavy.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewise.calibrate import certify
    from edgewise.errors import EdgewiseError
    from edgewise.pipeline import ModelOptimizer
    from edgewise.preroute import PreRouter
    from edgewise.route import CloudInferenceClient, HybridInferenceEngine

__version__ = "0.1.0"
__all__ = [
    "CloudInferenceClient",
    "EdgewiseError",
    "HybridInferenceEngine",
    "ModelOptimizer",
    "PreRouter",
    "certify",
]

_HOMES = {
    "CloudInferenceClient": "edgewise.route",
    "EdgewiseError": "edgewise.errors",
    "HybridInferenceEngine": "edgewise.route",
    "ModelOptimizer": "edgewise.pipeline",
    "PreRouter": "edgewise.preroute",
    "certify": "edgewise.calibrate",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgewise' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
