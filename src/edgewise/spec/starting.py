"""Help to write `edgewise.yaml`: a starter from data and a model, every key explained, a schema."""

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from edgewise.errors import InvalidData, StorageError
from edgewise.records import write_text
from edgewise.spec.model import Project
from edgewise.spec.splits import read_rows

_LABEL_NAMES = ("label", "class", "category", "intent", "sentiment", "target", "y")
_SHARES = (("train", 60), ("calibration", 80), ("test", 100))


def json_schema() -> dict[str, Any]:
    """Give the JSON schema of `edgewise.yaml`, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Project.model_json_schema(),
    }


def explain() -> str:
    """Give an `edgewise.yaml` with every key, its default and its meaning."""
    lines = [
        "# Every key of edgewise.yaml. A key shown as a comment has no default, or is its default."
    ]
    _explain_section(Project, "", lines)
    return "\n".join(lines)


def start_project(data: Path, model: Path, out: Path) -> list[Path]:
    """Write a project file, and train, calibration and test files split by a hash of the input.

    Returns
    -------
    list of Path
        The files written; the project file is the last.

    Raises
    ------
    InvalidData
        When no column of the data file looks like a label, or its rows do not fill three splits.
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
    value = max(inputs, key=lambda name: sum(len(row[name]) for row in rows))
    image = rows[0][value].lower().endswith((".png", ".jpg", ".jpeg", ".npy"))
    texts = _splits(data, rows, names, value, out.parent / "data")
    for path in (*texts, out):
        if path.exists():
            hint = "choose another with --out; data goes beside it"
            raise StorageError("there is a file already", where=str(path), hint=hint)
    key = "image" if image else "text"
    project: dict[str, Any] = {
        "name": "".join(c if c.isalnum() or c in "._-" else "-" for c in out.resolve().parent.name)
        or "project",
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
    head = "# Every key and default: edgewise init --explain\n"
    texts[out] = head + yaml.safe_dump(project, sort_keys=False)
    try:
        for path, text in texts.items():
            write_text(path, text)
    except BaseException:
        for path in texts:
            path.unlink(missing_ok=True)
        raise
    return list(texts)


def _label_column(data: Path, names: list[str], rows: list[dict[str, str]]) -> str:
    for name in names:
        if name.lower() in _LABEL_NAMES:
            return name
    few = [n for n in names if 2 <= len({row[n] for row in rows}) <= max(2, len(rows) // 10)]
    if len(names) < 2 or not few:
        what = f"no column looks like a label among: {', '.join(names)}"
        raise InvalidData(what, where=f"{data}:1", hint="name one `label`")
    return min(few, key=lambda name: len({row[name] for row in rows}))


def _splits(
    data: Path, rows: list[dict[str, str]], names: list[str], value: str, folder: Path
) -> dict[Path, str]:
    """Share out rows by a hash of their input; give the text of each file."""
    parts: dict[str, list[dict[str, str]]] = {name: [] for name, _ in _SHARES}
    seen = set()
    for row in rows:
        key = " ".join(row[value].split())
        if key in seen or not key:
            continue
        seen.add(key)
        draw = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 100
        parts[next(name for name, top in _SHARES if draw < top)].append(row)
    texts = {}
    for name, part in parts.items():
        if not part:
            what = f"too few rows: {len(seen)} different ones leave none for {name}"
            raise InvalidData(what, where=str(data), hint="give some hundred rows")
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(part)
        texts[folder / f"{name}.csv"] = text.getvalue()
    return texts


def _explain_section(section: type[BaseModel], indent: str, lines: list[str]) -> None:
    for name, field in section.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        sections: list[type[BaseModel]] = [
            k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)
        ]
        inner = next(iter(sections), None)
        meaning = field.description or ""
        whole = kinds[0] is inner
        if inner is not None and whole:
            lines.append(f"{indent}{name}:  # {meaning}")
            _explain_section(inner, indent + "  ", lines)
            continue
        if field.default is PydanticUndefined:
            shown, mark = ("…" if field.is_required() else ""), ""
        else:
            shown = (
                yaml.safe_dump(field.default, default_flow_style=True)
                .strip()
                .removesuffix("...")
                .strip()
            )
            mark = "# " if field.default is None else ""
        lines.append(f"{indent}{mark}{name}: {shown}  # {meaning}")
        if inner is not None:
            inside: list[str] = []
            _explain_section(inner, indent + "  ", inside)
            lines += [f"{indent}# {line.strip()}" if "# " in line else line for line in inside]
