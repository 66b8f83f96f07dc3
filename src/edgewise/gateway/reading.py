"""`gateway.yaml` is read, checked, and becomes settings; what is wrong says line and column."""

import re
from pathlib import Path
from typing import Any

import msgspec

from edgewise.errors import InvalidSpec
from edgewise.gateway.settings import Settings

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"unknown field `(.+?)`")


def read_settings(path: Path) -> Settings:
    """Read a gateway's settings.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    import yaml  # noqa: PLC0415 - few gateways have a file, and all of them start

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        what = f"can't be read: {getattr(failure, 'strerror', None) or 'not UTF-8'}"
        raise InvalidSpec(what, where=str(path), hint="give the path of a YAML file") from failure
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        what = f"not valid YAML: {broken.problem or broken.context}"
        raise InvalidSpec(what, where=at, hint="check indentation and quotes there") from broken
    except (yaml.YAMLError, ValueError, RecursionError) as broken:
        hint = "is this a text file?"
        raise InvalidSpec("not valid YAML", where=str(path), hint=hint) from broken
    if values is None:
        return Settings()
    if not isinstance(values, dict):
        hint = "write `port: 8080`"
        raise InvalidSpec("not a mapping of keys", where=f"{path}:1:1", hint=hint)
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as wrong:
        what, _, at = str(wrong).partition(" - at `")
        line, column = _place(node, at.rstrip("`"), what)
        unknown = _UNKNOWN.search(what)
        hint = "remove it, or see docs/gateway.md" if unknown else "see docs/gateway.md"
        told = what[0].lower() + what[1:]
        raise InvalidSpec(told, where=f"{path}:{line}:{column}", hint=hint) from wrong


def _place(node: Any, at: str, what: str) -> tuple[int, int]:
    """Find where a path of `msgspec` stands in the file, as far as it goes."""
    import yaml  # noqa: PLC0415 - as above

    steps: list[str | int] = [
        int(index) if index else name for name, index in _STEP.findall(at.removeprefix("$"))
    ]
    unknown = _UNKNOWN.search(what)
    if unknown:
        steps.append(unknown[1])
    mark = node.start_mark
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == step]
            if not pairs:
                break
            key, node = pairs[0]
            mark = key.start_mark
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if step >= len(node.value):
                break
            node = node.value[step]
            mark = node.start_mark
    return mark.line + 1, mark.column + 1
