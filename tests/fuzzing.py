"""Feeds a parser with what atheris makes up: `python tests/fuzzing.py http FOLDER -runs=10000`.

The folder holds the seeds, and what atheris adds to them. Ends with 0 where every law of
`tests/fuzzed.py` held; else it says which bytes broke it.
"""

import resource
import sys
from pathlib import Path

import atheris

MOST_BYTES = 4 << 30
"""Of addresses. Linux tells a child's most resident memory with its parent's in it."""

with atheris.instrument_imports(include=["edgewise.gateway"]):
    import fuzzed


def main() -> None:
    """Seed the folder, and fuzz."""
    name, folder, *options = sys.argv[1:]
    check, seeds = {
        "http": (fuzzed.check_http, fuzzed.HTTP_SEEDS),
        "tensors": (fuzzed.check_tensors, fuzzed.TENSOR_SEEDS),
    }[name]
    for number, seed in enumerate(seeds):
        (Path(folder) / f"seed-{number}").write_bytes(seed)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    atheris.Setup([sys.argv[0], folder, "-rss_limit_mb=0", *options], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
