"""`gateway.yaml` is read, checked, and becomes settings; what is wrong says line and column."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgewise.errors import InvalidSpec
from edgewise.gateway.settings import Key, Settings, beside, keys_of

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+?)`")
_MISSING = re.compile(r"Object missing required field `(.+?)`")
_OF_A_KEY = re.compile(r"`(\w+)`")
_EVERY_KEY = "`edgewise init --explain --gateway` shows every key"

Steps = list[str | int]


def read_settings(path: Path) -> Settings:
    """Read a gateway's settings.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    node, values = _parsed(path)
    if values is None:
        return Settings()
    if not isinstance(values, dict):
        hint = "write `port: 8080`"
        raise InvalidSpec("not a mapping of keys", where=f"{path}:1:1", hint=hint)
    _check_once(node, path, set())
    try:
        settings = msgspec.convert(values, Settings)
    except msgspec.ValidationError as wrong:
        raise _explained(str(wrong), node, path) from wrong
    for key in ("certificate", "key") if settings.tls is not None else ():
        file = beside(getattr(settings.tls, key), path)
        if not file.is_file():
            raise InvalidSpec(
                f"`tls.{key}`: no such file: {file}",
                where=_place(node, ["tls", key], path),
                hint="give a PEM file; paths are relative to this file",
            )
    return settings


def _parsed(path: Path) -> tuple[Any, Any]:
    """Read the file twice: for where each value stands, and for what it is."""
    import yaml  # noqa: PLC0415 - few gateways have a file, and all of them start

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        what = f"can't be read: {getattr(failure, 'strerror', None) or 'not UTF-8'}"
        raise InvalidSpec(what, where=str(path), hint="give the path of a YAML file") from failure
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        what = f"not valid YAML: {broken.problem or broken.context}"
        raise InvalidSpec(what, where=at, hint="check indentation and quotes there") from broken
    except (yaml.YAMLError, ValueError, RecursionError) as broken:
        hint = "is this a text file?"
        raise InvalidSpec("not valid YAML", where=str(path), hint=hint) from broken


def _check_once(node: Any, path: Path, seen: set[int]) -> None:
    """Refuse a key that is given twice: of two values YAML would keep the last, without a word."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    names: set[str] = set()
    for pair in node.value if isinstance(node.value, list) else ():
        key, value = pair if isinstance(pair, tuple) else (None, pair)
        if key is not None:
            name = str(key.value)
            if name in names:
                where = f"{path}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
                what = f"key `{name}` is given twice"
                raise InvalidSpec(what, where=where, hint="remove one of them")
            names.add(name)
        _check_once(value, path, seen)


def _explained(message: str, node: Any, path: Path) -> InvalidSpec:
    """Put what `msgspec` says in words, with its place and a key's meaning."""
    what, _, at = message.partition(" - at `")
    steps: Steps = [
        int(index) if index else name
        for name, index in _STEP.findall(at.rstrip("`").removeprefix("$"))
        if name or index
    ]
    unknown, missing, of_a_key = _UNKNOWN.match(what), _MISSING.match(what), _OF_A_KEY.match(what)
    if unknown is not None:
        keys = [one.name for one in _keys_at(steps)]
        near = difflib.get_close_matches(unknown[1], keys, n=1, cutoff=0.4)
        hint = f"did you mean `{near[0]}`?" if near else f"keys there: {', '.join(keys)}"
        steps.append(unknown[1])
        return InvalidSpec(
            f"unknown key `{_dotted(steps)}`", where=_place(node, steps, path), hint=hint
        )
    if missing is not None:
        whole = [*steps, missing[1]]
        return InvalidSpec(
            f"key `{_dotted(whole)}` is missing",
            where=_place(node, steps, path),
            hint=_meaning(whole),
        )
    if of_a_key is not None:
        steps.append(of_a_key[1])
        told = f"`{_dotted(steps)}`{what[of_a_key.end() :]}"
    else:
        told = f"`{_dotted(steps)}`: " if steps else ""
        told += f"{what[0].lower()}{what[1:]}"
    return InvalidSpec(told, where=_place(node, steps, path), hint=_meaning(steps))


def _dotted(steps: Sequence[str | int]) -> str:
    parts = [f"[{one}]" if isinstance(one, int) else f".{one}" for one in steps]
    return "".join(parts).removeprefix(".")


def _meaning(steps: Sequence[str | int]) -> str:
    names = [one for one in steps if isinstance(one, str)]
    last = names[-1] if names else ""
    key = next((one for one in _keys_at(names[:-1]) if one.name == last), None)
    return _EVERY_KEY if key is None else f"{key.name}: {key.meaning}"


def _keys_at(steps: Sequence[str | int]) -> list[Key]:
    """Give the keys that may stand at a path."""
    keys = list(keys_of(Settings))
    for step in steps:
        if isinstance(step, str):
            below = next(one.section for one in keys if one.name == step)
            keys = [] if below is None else list(keys_of(below))
    return keys


def _place(node: Any, steps: Sequence[str | int], path: Path) -> str:
    """Find where a path of keys stands in the file, as far as it goes."""
    import yaml  # noqa: PLC0415 - as above

    mark = node.start_mark
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == step]
            if not pairs:
                break
            key, node = pairs[0]
            mark = key.start_mark
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            mark = node.start_mark
    return f"{path}:{mark.line + 1}:{mark.column + 1}"
