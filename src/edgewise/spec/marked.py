"""YAML in which each value knows its line and column, and mistakes in it in words."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from edgewise.errors import InvalidSpec
from edgewise.spec.section import URL_PATTERN

Marks = dict[tuple[str | int, ...], tuple[int, int]]

_MOST_VALUES = 100_000


def read_text(
    path: Path, *, kind: str = "project file", hint: str = "write one with `edgewise init`"
) -> str:
    """Read a project file, or one of another kind; `hint` is for one that is absent.

    Raises
    ------
    InvalidSpec
        When it is absent, can't be read or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as absent:
        raise InvalidSpec(f"no such {kind}", where=str(path), hint=hint) from absent
    except UnicodeDecodeError as broken:
        what = f"not UTF-8 (byte {broken.start})"
        raise InvalidSpec(what, where=str(path), hint="save it as UTF-8 text") from broken
    except OSError as failure:
        what, hint = f"can't be read: {failure.strerror}", f"give the path of a {kind}"
        raise InvalidSpec(what, where=str(path), hint=hint) from failure


def parse(text: str, path: Path) -> tuple[Any, Marks]:
    """Read the text twice: for where each value stands, and for what it is."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise InvalidSpec(
                "not a mapping of keys", where=f"{path}:1:1", hint="start from `edgewise init`"
            )
        marks = _Marking(path).mark(node)
        return yaml.safe_load(text), marks
    except yaml.reader.ReaderError as broken:
        before = text[: broken.position]
        at = f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        what = f"not valid YAML: character #x{broken.character:04x} can't stand in it"
        raise InvalidSpec(what, where=at, hint="remove it; is this a text file?") from broken
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = str(broken.problem or broken.context)
        tab = "'\\t'" in problem
        what = f"not valid YAML: {problem}"
        hint = (
            "indent with spaces, not with a tab"
            if tab
            else "check indentation, quotes and brackets there"
        )
        raise InvalidSpec(what, where=at, hint=hint) from broken
    except ValueError as broken:
        what = f"not valid YAML: a date, time or number is none: {broken}"
        raise InvalidSpec(what, where=str(path), hint="put quotes around text") from broken
    except RecursionError as deep:
        hint = "start from `edgewise init`"
        raise InvalidSpec("nested too deep", where=str(path), hint=hint) from deep


class _Marking:
    """Notes the line and column of each value and key of a file. Made by `parse`.

    An alias stands for all that it names, so aliases of aliases can stand for more than memory
    holds: values are counted as they would be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: Marks = {}
        self._above: list[yaml.Node] = []

    def mark(self, node: yaml.Node, at: tuple[str | int, ...] = ()) -> Marks:
        """Note a value and all that is in it; give all that is noted."""
        where = f"{self._path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        hint = "write the values out"
        if any(node is one for one in self._above):
            raise InvalidSpec("an alias stands for itself", where=where, hint=hint)
        if len(self._marks) > _MOST_VALUES:
            what = f"more than {_MOST_VALUES} values, counting what aliases repeat"
            raise InvalidSpec(what, where=where, hint=hint)
        self._marks[at] = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._above.append(node)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.mark(item, (*at, index))
        if isinstance(node, yaml.MappingNode):
            self._keys(node, at)
        self._above.pop()
        return self._marks

    def _keys(self, node: yaml.MappingNode, at: tuple[str | int, ...]) -> None:
        seen = set()
        for key, value in node.value:
            name = str(key.value)
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if name in seen:
                where = f"{self._path}:{line}:{column}"
                raise InvalidSpec(
                    f"key `{name}` is given twice", where=where, hint="remove one of them"
                )
            seen.add(name)
            self.mark(value, (*at, name))
            self._marks[(*at, name, "<key>")] = (line, column)


def place_of(marks: Marks, at: tuple[str | int, ...], path: Path) -> str:
    """Give the place of a value, or of the nearest thing around it that has one."""
    while at not in marks:
        at = at[:-1]
    line, column = marks[at]
    return f"{path}:{line}:{column}"


def explained(
    wrong: ValidationError, marks: Marks, path: Path, root: type[BaseModel]
) -> InvalidSpec:
    """Put the first thing that is wrong in words, with its place and a key's meaning."""
    found = wrong.errors(include_url=False)
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    at = tuple(first["loc"])
    extra = first["type"] == "extra_forbidden"
    where = place_of(marks, (*at, "<key>") if extra else at, path)
    dotted = ".".join(
        str(part) for part in at if part not in ("Column",) and not str(part).startswith("literal")
    )
    if extra:
        near = difflib.get_close_matches(str(at[-1]), _keys_at(root, at[:-1]), n=1, cutoff=0.4)
        hint = (
            f"did you mean `{near[0]}`?"
            if near
            else f"keys there: {', '.join(_keys_at(root, at[:-1]))}"
        )
        return InvalidSpec(f"unknown key `{dotted}`", where=where, hint=hint)
    if first["type"] == "missing":
        hint = "`edgewise init --explain` shows every key"
        return InvalidSpec(f"key `{dotted}` is missing", where=where, hint=hint)
    if at[-1:] == ("api_key",) and first["type"] == "model_type":
        hint = "write `api_key: {env: NAME}` or `{file: PATH}`: a secret is never in the file"
        return InvalidSpec(f"`{dotted}` holds a plain value", where=where, hint=hint)
    if first["type"] == "string_pattern_mismatch" and first["ctx"]["pattern"] == URL_PATTERN:
        what, hint = f"`{dotted}` is no http or https URL", "write it like https://host/path"
        return InvalidSpec(what, where=where, hint=hint)
    what = f"`{dotted}`: {first['msg'][0].lower()}{first['msg'][1:]}"
    return InvalidSpec(what, where=where, hint=_field_hint(root, at))


def _section_at(root: type[BaseModel], at: Sequence[str | int]) -> type[BaseModel] | None:
    current: Any = root
    for part in at:
        section = _section_of(current)
        if section is not None and part in section.model_fields:
            current = section.model_fields[str(part)].annotation
        elif get_origin(current) in (dict, list):
            current = get_args(current)[-1]
        else:
            return None
    return _section_of(current)


def _section_of(kind: Any) -> type[BaseModel] | None:
    """Give the section that a key holds; none where it holds several by name or number."""
    kinds = [kind, *(get_args(kind) if get_origin(kind) not in (dict, list) else ())]
    found: type[BaseModel] | None = next(
        (one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None
    )
    return found


def _keys_at(root: type[BaseModel], at: Sequence[str | int]) -> list[str]:
    section = _section_at(root, at)
    return list(section.model_fields) if section is not None else []


def _field_hint(root: type[BaseModel], at: Sequence[str | int]) -> str:
    for end in range(len(at), 0, -1):
        section = _section_at(root, at[: end - 1])
        field = section.model_fields.get(str(at[end - 1])) if section is not None else None
        if field is not None and field.description:
            return f"{at[end - 1]}: {field.description}"
    return "`edgewise init --explain` shows every key"
