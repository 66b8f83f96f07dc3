"""A target as one word of the command line, such as `memory=256MiB,threads=1,latency=100ms`."""

import difflib

from edgewise.errors import UsageError
from edgewise.records import EdgeTier
from edgewise.units import parse_bytes, parse_ms

_PARTS = ("memory", "storage", "threads", "latency")
_MOST_THREADS = 256


def parse_target(text: str) -> tuple[EdgeTier, float | None]:
    """Read what a target has, and the p95 in milliseconds that is asked there.

    Every part may be left out; `here` alone sets no limit.

    Raises
    ------
    UsageError
        When a part is unknown, stands twice or has no value that it can have.
    """
    found: dict[str, str] = {}
    for part in [] if text.strip() == "here" else text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if name not in _PARTS or not equals or not value:
            near = difflib.get_close_matches(name, _PARTS, n=1)
            hint = f"did you mean `{near[0]}=…`?" if near else "write it like `memory=256MiB`"
            raise UsageError(f"not a part of a target: `{part}`", where="--target", hint=hint)
        if name in found:
            what, hint = f"`{name}` is given twice", "leave one out"
            raise UsageError(what, where="--target", hint=hint)
        found[name] = value
    try:
        memory = parse_bytes(found["memory"]) if "memory" in found else None
        storage = parse_bytes(found["storage"]) if "storage" in found else None
        latency_ms = parse_ms(found["latency"]) if "latency" in found else None
    except UsageError as wrong:
        raise UsageError(wrong.what, where="--target", hint=wrong.hint) from wrong
    threads = found.get("threads", "1")
    if not threads.isdecimal() or not 1 <= int(threads) <= _MOST_THREADS:
        what = f"not a number of threads: `{threads}`"
        raise UsageError(what, where="--target", hint=f"from 1 to {_MOST_THREADS}")
    edge = EdgeTier(memory_bytes=memory, storage_bytes=storage, threads=int(threads))
    return edge, latency_ms
