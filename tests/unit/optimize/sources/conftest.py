"""These tests are read only where their libraries are; `make test-heavy` brings them."""

import importlib.util

_NEEDED = {"test_torch_*.py": "torch", "test_sklearn_*.py": "skl2onnx"}
collect_ignore_glob = [
    name for name, library in _NEEDED.items() if importlib.util.find_spec(library) is None
]
