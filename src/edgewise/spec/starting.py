"""Help to write `edgewise.yaml`: a starter from data and a model, every key explained, a schema."""

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edgewise.errors import InvalidData, InvalidModel, StorageError
from edgewise.records import NUMBERS, write_text
from edgewise.spec.chat_model import ChatProject
from edgewise.spec.model import Project
from edgewise.spec.splits import read_rows

_INPUT_NAMES = ("text", "image")
_LABEL_NAMES = ("label", "class", "category", "intent", "sentiment", "target", "y")
_HEAD = "# Every key and default: edgewise init --explain\n"
_CLOUD = """\
# The far tier: without one there is nothing to defer to, and nothing to certify against.
# `answers` says where its answers on the calibration and test files come from: `call` its endpoint,
# `{column: NAME}` of the files, or `assume_right`, which needs no cloud and is the hardest to meet.
#  cloud: {kind: cloud, endpoint: "https://…", protocol: json, usd_per_request: 0.002,
#          answers: call}
# privacy: {flag: privacy_flag, detect: [email, phone, card, iban, ip]}
# workload: {requests_per_month: 1_000_000, devices: 1000, device_usd: 35, horizon_months: 24}
"""
_SHARES = (("train", 60), ("calibration", 80), ("test", 100))


def json_schema(*, chats: bool = False) -> dict[str, Any]:
    """Give the JSON schema of `edgewise.yaml`, for editors; with `chats` for text generation."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    if chats:
        return {**head, **_with_distributions(ChatProject)}
    return {**head, **_with_distributions(Project)}


def _with_distributions(project: type[BaseModel]) -> dict[str, Any]:
    """Give the schema of a project in which each number of a cost may be a distribution."""
    schema = project.model_json_schema()
    parts = schema["$defs"]
    number = {"type": "number"}
    parts["Distribution"] = {
        "description": "{low, mode, high}, or {p5, p95}",
        "oneOf": [
            {
                "type": "object",
                "properties": dict.fromkeys(keys, number),
                "required": list(keys),
                "additionalProperties": False,
            }
            for keys in (("low", "mode", "high"), ("p5", "p95"))
        ],
    }
    for name in NUMBERS:
        *sections, key = name.split(".")
        owner: Any = project
        for section in sections:
            owner = _section_of(owner.model_fields[section].annotation)
        properties = parts[owner.__name__]["properties"]
        one = properties[key]
        properties[key] = {"anyOf": [one, {"$ref": "#/$defs/Distribution"}]}
    return schema


def explain(*, chats: bool = False) -> str:
    """Give an `edgewise.yaml` with every key, its default and its meaning; or for `chats`."""
    head = (
        "# Every key of edgewise.yaml with its default; … has to be given, a comment may be absent."
    )
    return "\n".join([head, *_explain_section(ChatProject if chats else Project, 0)])


def start_project(data: Path, model: Path, out: Path) -> list[Path]:
    """Write a project file, and train, calibration and test files split by a hash of the input.

    Returns
    -------
    list of Path
        The files written; the project file is the last.

    Raises
    ------
    InvalidData
        When the data file has one column or none that looks like a label, or its rows do not
        fill three splits.
    InvalidModel
        When there is no such model.
    StorageError
        When a file is there already, or can't be written; then none is left.
    """
    rows = [row for _, row in read_rows(data)]
    names = list(rows[0])
    label = _label_column(data, names, rows)
    inputs = [name for name in names if name != label]
    if not inputs:
        what = f"there is no column beside `{label}`"
        raise InvalidData(what, where=f"{data}:1", hint="give a column of inputs and one of labels")
    value = _input_column(inputs, rows)
    rows = _whole(data, rows, value, label)
    image = rows[0][value].lower().endswith((".png", ".jpg", ".jpeg", ".npy"))
    parts = _splits(data, rows, value, label)
    if image:  # a path is relative to its file, and these files lie elsewhere
        for row in rows:
            row[value] = str((data.parent / row[value]).resolve())
    texts = {out.parent / "data" / f"{name}.csv": _csv(names, part) for name, part in parts.items()}
    for path in (*texts, out):
        if path.exists():
            hint = "choose another with --out; data goes beside it"
            raise StorageError("there is a file already", where=str(path), hint=hint)
    _check_model(model)
    key = "image" if image else "text"
    project: dict[str, Any] = {
        "name": _name_of(out.resolve().parent),
        "task": f"{key}-classification",
        "model": {"source": str(model.resolve())},
        "data": {
            **{path.stem: f"data/{path.name}" for path in texts},
            "columns": {key: value, "label": label},
        },
        "tiers": {"edge": {"kind": "device", "memory": "256MiB", "threads": 1}},
        "objective": {"max_quality_loss": 0.02, "confidence": 0.95},
    }
    if image:
        project["model"]["image"] = {"height": 224, "width": 224}
    whole = yaml.safe_dump(project, sort_keys=False)
    texts[out] = _HEAD + whole.replace("objective:\n", _CLOUD + "objective:\n", 1)
    try:
        for path, text in texts.items():
            write_text(path, text)
    except BaseException:
        for path in texts:
            path.unlink(missing_ok=True)
        raise
    return list(texts)


def _check_model(model: Path) -> None:
    if not model.exists():
        hint = "give an ONNX file or a Hugging Face directory"
        raise InvalidModel("no such model", where=str(model), hint=hint)


def _input_column(names: list[str], rows: list[dict[str, str]]) -> str:
    """Give the column that is named as an input is, else the longest."""
    for name in names:
        if name.lower() in _INPUT_NAMES:
            return name
    return max(names, key=lambda name: sum(len(row[name]) for row in rows))


def _label_column(data: Path, names: list[str], rows: list[dict[str, str]]) -> str:
    if len(names) < 2:
        what = f"one column, `{names[0]}`, is not an input and its label"
        raise InvalidData(what, where=f"{data}:1", hint="give both, such as `text` and `label`")
    for name in names:
        if name.lower() in _LABEL_NAMES:
            return name
    few = [n for n in names if 2 <= len({row[n] for row in rows}) <= max(2, len(rows) // 10)]
    if not few:
        what = f"no column looks like a label among: {', '.join(names)}"
        raise InvalidData(what, where=f"{data}:1", hint="name one `label`")
    return min(few, key=lambda name: len({row[name] for row in rows}))


def _name_of(folder: Path) -> str:
    """Give a folder's name with what a project's name may hold, from a letter or digit on."""
    kept = (c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in folder.name)
    return "".join(kept).lstrip("._-") or "project"


def _whole(data: Path, rows: list[dict[str, str]], value: str, label: str) -> list[dict[str, str]]:
    """Give the rows that have an input and its label."""
    found = [row for row in rows if row[value].strip() and row[label].strip()]
    if not found:
        what = f"no row has both `{value}` and `{label}`"
        raise InvalidData(what, where=str(data), hint="give some hundred rows with both")
    return found


def _splits(
    data: Path, rows: list[dict[str, str]], value: str, label: str
) -> dict[str, list[dict[str, str]]]:
    """Share out rows by a hash of their input; those of a label that train lacks go there."""
    parts: dict[str, list[dict[str, str]]] = {name: [] for name, _ in _SHARES}
    seen = set()
    for row in rows:
        key = " ".join(row[value].split())
        if key in seen:
            continue
        seen.add(key)
        draw = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 100
        parts[next(name for name, top in _SHARES if draw < top)].append(row)
    known = {row[label].strip() for row in parts["train"]}
    for name in ("calibration", "test"):
        new = [row for row in parts[name] if row[label].strip() not in known]
        parts["train"] += new
        parts[name] = [row for row in parts[name] if row[label].strip() in known]
    for name, part in parts.items():
        if not part:
            what = f"too few rows: {len(seen)} different ones leave none for {name}"
            raise InvalidData(what, where=str(data), hint="give some hundred rows")
    return parts


def _csv(names: list[str], rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    # A bare carriage return ends a row for whoever reads it, and Python's writer does not quote it.
    bare = any("\r" in cell for row in rows for cell in row.values())
    quoting: Literal[0, 1] = csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(text, names, lineterminator="\n", quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _explain_section(section: type[BaseModel], depth: int) -> Iterator[str]:
    """Give a line a key; a section that is absent by default is a comment as a whole."""
    indent = "  " * depth
    for name, field in section.model_fields.items():
        meaning = field.description or ""
        inner = _section_of(field.annotation)
        if inner is None or isinstance(field.default, str | list | dict):
            yield f"{indent}{name}: {_default(field)}  # {meaning}"
            if inner is not None and not isinstance(field.default, str):
                yield from _explain_items(inner, isinstance(field.default, list), f"{indent}  # | ")
            continue
        lines = [f"{name}:  # {meaning}", *_explain_section(inner, 1)]
        mark = "" if field.annotation is inner else "# "
        yield from (f"{indent}{mark}{line}" for line in lines)


def _explain_items(section: type[BaseModel], is_list: bool, indent: str) -> Iterator[str]:  # noqa: FBT001 - one of two forms
    """Give an item of a list, or of a mapping by names of the user's, as a comment."""
    if not is_list:
        yield f"{indent}NAME:  # of your own"
    for place, line in enumerate(_explain_section(section, 0)):
        lead = "- " if is_list and place == 0 else "  "
        yield f"{indent}{lead}{line}"


def _section_of(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "…"
    text: str = yaml.safe_dump(
        field.get_default(call_default_factory=True), default_flow_style=True
    )
    return text.strip().removesuffix("...").strip()
