"""Edgewise decides, for each model and each request, where AI inference runs.

Public names load on first use (PEP 562), so `import edgewise` brings in nothing heavy.
"""

from typing import TYPE_CHECKING

from edgewise.lazy import lazily

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
    "CloudInferenceClient": "route",
    "EdgewiseError": "errors",
    "HybridInferenceEngine": "route",
    "ModelOptimizer": "pipeline",
    "PreRouter": "preroute",
    "certify": "calibrate",
}

if not TYPE_CHECKING:  # pragma: no branch
    __getattr__, __dir__ = lazily(__name__, _HOMES)
