"""Every key of `gateway.yaml` with its default and meaning, for people and for editors."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from edgewise.gateway.settings import Settings, keys_of


def explain_settings() -> str:
    """Give a `gateway.yaml` with every key, its default and its meaning."""
    head = (
        "# Every key of gateway.yaml with its default; … has to be given, a comment may be absent."
    )
    return "\n".join([head, *_lines(Settings)])


def settings_schema() -> dict[str, Any]:
    """Give the JSON schema of `gateway.yaml`, for editors."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **msgspec.json.schema(Settings)}


def _lines(section: type[msgspec.Struct]) -> Iterator[str]:
    """Give a line a key; a section that is absent by default is a comment as a whole."""
    for key in keys_of(section):
        if key.section is None or key.many:
            yield f"{key.name}: {_default(key.default)}  # {key.meaning}"
        if key.section is None:
            continue
        inner = list(_lines(key.section))
        if key.many:
            yield from (f"# | {'  ' if place else '- '}{line}" for place, line in enumerate(inner))
            continue
        mark = "# " if key.default is None else ""
        yield f"{mark}{key.name}:  # {key.meaning}"
        yield from (f"{mark}  {line}" for line in inner)


def _default(value: object) -> str:
    return "…" if value is msgspec.NODEFAULT else json.dumps(value)
