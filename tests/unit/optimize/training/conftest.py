"""These tests are read only where torch is; `make test-heavy` brings it."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_[!r]*.py"]
