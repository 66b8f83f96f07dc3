"""Records to JSON and back, checked, with a schema version."""

import contextlib
import dataclasses
import enum
import functools
import hashlib
import json
import math
import operator
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from edgewise.errors import InvalidRecord, SchemaMismatch, StorageError
from edgewise.records.asides import aside_of, clear_dead_asides

SCHEMA_VERSION = 1

R = TypeVar("R")


def encode(record: object) -> dict[str, Any]:
    """Give a record as a JSON object whose first key is `schema_version`.

    Raises
    ------
    InvalidRecord
        When a number is not finite: JSON has no word for it.
    """
    try:
        return {"schema_version": SCHEMA_VERSION, **_encode(record)}
    except _NotFiniteError as wrong:
        where = type(record).__name__ + _place_of_not_finite(record)
        what = f"not a finite number: {wrong}"
        raise InvalidRecord(what, where=where) from None


def decode(kind: type[R], value: object, *, where: str = "") -> R:
    """Read a record from a JSON object, checking every field.

    Raises
    ------
    SchemaMismatch
        When `schema_version` is another one.
    InvalidRecord
        When a field is missing, unknown or of another type; `where` names its path.
    """
    where = where or kind.__name__
    if not isinstance(value, dict):
        raise InvalidRecord("not a JSON object", where=where, hint="was another file given?")
    version = value.get("schema_version")
    if version != SCHEMA_VERSION:
        what = f"schema version {version!r}, and this edgewise reads {SCHEMA_VERSION}"
        raise SchemaMismatch(
            what, where=where, hint="use the edgewise version that wrote it, or write it anew"
        )
    body = {key: item for key, item in value.items() if key != "schema_version"}
    return cast("R", _decode(kind, body, where))


def digest(record: object) -> str:
    """Hash a record: the SHA-256, in hex, of its canonical JSON."""
    text = json.dumps(encode(record), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, record: object) -> None:
    """Write a record beside `path` and rename it into place, so no reader sees half a file.

    Raises
    ------
    StorageError
        When the file can't be written.
    """
    write_text(path, json.dumps(encode(record), indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text beside `path` and rename it into place; a device or a pipe is written as it is.

    Raises
    ------
    StorageError
        When the file can't be written.
    """
    clear_dead_asides(path)
    aside = aside_of(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # such as /dev/stdout
            path.write_text(text, encoding="utf-8")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as failure:
        what = f"can't write: {failure.strerror or failure}"
        raise StorageError(
            what, where=str(path), hint="free some space or pick another place"
        ) from failure
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def read_json(kind: type[R], path: Path) -> R:
    """Read a record from a file.

    Raises
    ------
    InvalidRecord
        When the file is absent, is no JSON, or holds another record.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as absent:
        hint = "did `edgewise run` finish?"
        raise InvalidRecord("no such file", where=str(path), hint=hint) from absent
    except OSError as failure:
        what, hint = f"can't be read: {failure.strerror or failure}", "give the path of the file"
        raise InvalidRecord(what, where=str(path), hint=hint) from failure
    except (ValueError, RecursionError) as broken:
        what = f"can't be read as JSON: {broken}"
        raise InvalidRecord(
            what, where=str(path), hint="write it anew with `edgewise run`"
        ) from broken
    return decode(kind, value, where=str(path))


class _NotFiniteError(ValueError):
    """A number that JSON has no word for; where it stands is looked up when it is met."""


def _encode(value: Any) -> Any:
    kind: Any = type(value)
    return _encoder(kind)(value)


@functools.cache
def _encoder(kind: Any) -> Callable[[Any], Any]:
    """Give what turns values of a type into what JSON holds; looked up once a type."""
    if dataclasses.is_dataclass(kind):
        names = tuple(field.name for field in dataclasses.fields(kind))
        return lambda value: {name: _encode(getattr(value, name)) for name in names}
    if issubclass(kind, enum.Enum):
        return operator.attrgetter("value")
    if issubclass(kind, Mapping):
        return lambda value: {str(key): _encode(item) for key, item in value.items()}
    if issubclass(kind, tuple | list):
        return lambda value: [_encode(item) for item in value]
    return _finite if issubclass(kind, float) else _as_it_is


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _NotFiniteError(value)
    return value


def _as_it_is(value: Any) -> Any:
    return value


def _place_of_not_finite(value: Any) -> str:
    """Give the path of the first number that is not finite, from the record on."""
    parts: list[tuple[str, Any]] = []
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        parts = [(f".{name}", getattr(value, name)) for name in names]
    elif isinstance(value, Mapping):
        parts = [(f".{key}", item) for key, item in value.items()]
    elif isinstance(value, tuple | list):
        parts = [(f"[{index}]", item) for index, item in enumerate(value)]
    for path, item in parts:
        try:
            _encode(item)
        except _NotFiniteError:
            return path + _place_of_not_finite(item)
    return ""


def _decode(kind: Any, value: Any, where: str) -> Any:  # noqa: PLR0911 - one return a kind of type
    if kind is Any or kind is object:
        return value
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(kind, value, where)
    if origin is tuple:
        return _decode_tuple(kind, value, where)
    if origin in (dict, Mapping):
        item_kind = typing.get_args(kind)[1]
        _expect(isinstance(value, dict), "an object", value, where)
        return {key: _decode(item_kind, item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        choices = [member.value for member in kind]
        _expect(value in choices, "one of " + ", ".join(map(str, choices)), value, where)
        return kind(value)
    if kind is float:
        return _decode_float(value, where)
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    _expect(right, f"of type {kind.__name__}", value, where)
    return value


def _decode_float(value: Any, where: str) -> float:
    _expect(
        isinstance(value, int | float) and not isinstance(value, bool), "a number", value, where
    )
    try:
        found = float(value)
    except OverflowError:  # JSON's whole numbers have no end
        found = math.inf
    _expect(math.isfinite(found), "a finite number", value, where)
    return found


def _decode_union(kind: Any, value: Any, where: str) -> Any:
    choices = [choice for choice in typing.get_args(kind) if choice is not type(None)]
    if value is None and len(choices) < len(typing.get_args(kind)):
        return None
    return _decode(choices[0], value, where)


def _decode_tuple(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, list), "a list", value, where)
    kinds = typing.get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    _expect(len(kinds) == len(value), f"a list of {len(kinds)}", value, where)
    pairs = zip(kinds, value, strict=True)
    return tuple(
        _decode(item_kind, item, f"{where}[{i}]") for i, (item_kind, item) in enumerate(pairs)
    )


def _decode_record(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), "an object", value, where)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            raise InvalidRecord(
                f"unknown field `{key}`", where=where, hint="was it made by a newer edgewise?"
            )
    for name, field in fields.items():
        if name not in value and field.default is field.default_factory is dataclasses.MISSING:
            raise InvalidRecord(
                f"field `{name}` is missing", where=where, hint="write it anew with `edgewise run`"
            )
    return kind(**{key: _decode(hints[key], item, f"{where}.{key}") for key, item in value.items()})


def _expect(holds: bool, what: str, value: object, where: str) -> None:  # noqa: FBT001 - an assertion's subject
    if not holds:
        shown = repr(value)
        raise InvalidRecord(
            f"should be {what}: {shown[:80]}", where=where, hint="write it anew with `edgewise run`"
        )
