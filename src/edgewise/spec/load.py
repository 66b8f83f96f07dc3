"""`edgewise.yaml` is read, checked, and becomes a `ProjectSpec`."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from edgewise.errors import InvalidSpec
from edgewise.records import (
    ApiKey,
    CalibrationChoice,
    CloudAnswers,
    CloudTier,
    Columns,
    DataSpec,
    EdgeTier,
    ImageInput,
    Loss,
    ModelSpec,
    Objective,
    OptimizeSpec,
    PrivacyRules,
    ProjectSpec,
    Protocol,
    Task,
    TierKind,
    Workload,
)
from edgewise.spec import model as shape

Marks = dict[tuple[str | int, ...], tuple[int, int]]


def load_spec(path: Path) -> ProjectSpec:
    """Read a project file.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as absent:
        hint = "write one with `edgewise init`"
        raise InvalidSpec("no such project file", where=str(path), hint=hint) from absent
    except (OSError, UnicodeDecodeError) as broken:
        raise InvalidSpec(
            f"can't be read: {broken}", where=str(path), hint="save it as UTF-8 text"
        ) from broken
    values, marks = _parse(text, path)
    try:
        project = shape.Project.model_validate(values)
    except ValidationError as wrong:
        raise _explained(wrong, marks, path) from wrong
    _check_tiers(project, marks, path)
    return _spec(project, path.resolve())


def _parse(text: str, path: Path) -> tuple[Any, Marks]:
    marks: Marks = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise InvalidSpec(
                "not a mapping of keys", where=f"{path}:1:1", hint="start from `edgewise init`"
            )
        _mark(node, (), marks, path)
        return yaml.safe_load(text), marks
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        what = f"not valid YAML: {broken.problem or broken.context}"
        raise InvalidSpec(
            what, where=at, hint="check indentation, quotes and brackets there"
        ) from broken


def _mark(node: yaml.Node, at: tuple[str | int, ...], marks: Marks, path: Path) -> None:
    marks[at] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _mark(item, (*at, index), marks, path)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = str(key.value)
            line, column = key.start_mark.line + 1, key.start_mark.column + 1
            if name in seen:
                where = f"{path}:{line}:{column}"
                raise InvalidSpec(
                    f"key `{name}` is given twice", where=where, hint="remove one of them"
                )
            seen.add(name)
            _mark(value, (*at, name), marks, path)
            marks[(*at, name, "<key>")] = (line, column)


def _explained(wrong: ValidationError, marks: Marks, path: Path) -> InvalidSpec:
    found = wrong.errors(include_url=False)
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    at = tuple(first["loc"])
    extra = first["type"] == "extra_forbidden"
    mark = marks.get((*at, "<key>")) if extra else None
    probe = at
    while mark is None:
        mark = marks.get(probe)
        probe = probe[:-1]
    where = f"{path}:{mark[0]}:{mark[1]}"
    dotted = ".".join(
        str(part) for part in at if part not in ("Column",) and not str(part).startswith("literal")
    )
    if extra:
        near = difflib.get_close_matches(str(at[-1]), _keys_at(at[:-1]), n=1, cutoff=0.4)
        hint = (
            f"did you mean `{near[0]}`?" if near else f"keys there: {', '.join(_keys_at(at[:-1]))}"
        )
        return InvalidSpec(f"unknown key `{dotted}`", where=where, hint=hint)
    if first["type"] == "missing":
        hint = "`edgewise init --explain` shows every key"
        return InvalidSpec(f"key `{dotted}` is missing", where=where, hint=hint)
    if at[-1:] == ("api_key",) and first["type"] == "model_type":
        hint = "write `api_key: {env: NAME}` or `{file: PATH}`: a secret is never in the file"
        return InvalidSpec(f"`{dotted}` holds a plain value", where=where, hint=hint)
    what = f"`{dotted}`: {first['msg'][0].lower()}{first['msg'][1:]}"
    return InvalidSpec(what, where=where, hint=_field_hint(at))


def _section_at(at: Sequence[str | int]) -> type[BaseModel] | None:
    current: Any = shape.Project
    for part in at:
        field = current.model_fields.get(str(part)) if current is not None else None
        if field is None:
            return None
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        current = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    found: type[BaseModel] | None = current
    return found


def _keys_at(at: Sequence[str | int]) -> list[str]:
    section = _section_at(at)
    return list(section.model_fields) if section is not None else []


def _field_hint(at: Sequence[str | int]) -> str:
    for end in range(len(at), 0, -1):
        section = _section_at(at[: end - 1])
        field = section.model_fields.get(str(at[end - 1])) if section is not None else None
        if field is not None and field.description:
            return f"{at[end - 1]}: {field.description}"
    return "`edgewise init --explain` shows every key"


def _check_tiers(project: shape.Project, marks: Marks, path: Path) -> None:
    for region, tiers in project.privacy.residency.items():
        for index, tier in enumerate(tiers):
            if tier not in ("edge", "cloud"):
                line, column = marks[("privacy", "residency", region, index)]
                what = f"`{tier}` is no tier"
                raise InvalidSpec(what, where=f"{path}:{line}:{column}", hint="tiers: edge, cloud")
    if project.task == "image-classification" and project.model.image is None:
        line, column = marks[("model",)]
        hint = "add `image: {height: 224, width: 224}`"
        raise InvalidSpec(
            "image classification needs model.image", where=f"{path}:{line}:{column}", hint=hint
        )


def _spec(project: shape.Project, path: Path) -> ProjectSpec:
    def at(text: str) -> Path:
        return (path.parent / text).resolve()

    model, data, edge = project.model, project.data, project.tiers.edge
    image = project.task == "image-classification"
    default = "image" if image else "text"
    columns = data.columns
    chosen = (columns.image if image else columns.text) or default
    return ProjectSpec(
        name=project.name,
        task=Task(project.task),
        model=ModelSpec(
            source=at(model.source),
            labels=tuple(model.labels),
            tokenizer=at(model.tokenizer) if model.tokenizer else None,
            max_length=model.max_length,
            image=_image(model.image),
        ),
        data=DataSpec(
            train=at(data.train),
            calibration=at(data.calibration),
            test=at(data.test),
            columns=Columns(input=chosen, label=columns.label, group=columns.group),
        ),
        edge=EdgeTier(
            kind=TierKind(edge.kind),
            memory_bytes=edge.memory,
            storage_bytes=edge.storage,
            threads=edge.threads,
        ),
        cloud=_cloud(project.tiers.cloud),
        objective=Objective(
            latency_p95_ms=project.objective.latency_p95_ms,
            max_quality_loss=project.objective.max_quality_loss,
            confidence=project.objective.confidence,
            loss=Loss(project.objective.loss),
        ),
        optimize=OptimizeSpec(
            precisions=tuple(project.optimize.precisions),
            layers=tuple(project.optimize.layers) if project.optimize.layers else None,
            min_agreement=project.optimize.min_agreement,
            max_cut_loss=project.optimize.max_cut_loss,
            calibration=CalibrationChoice(project.optimize.calibration),
        ),
        privacy=PrivacyRules(
            flag=project.privacy.flag,
            detect=tuple(project.privacy.detect),
            residency_key=project.privacy.residency_key,
            residency={k: tuple(v) for k, v in project.privacy.residency.items()},
        ),
        workload=Workload(**project.workload.model_dump()),
        path=path,
    )


def _image(image: shape.Image | None) -> ImageInput | None:
    if image is None:
        return None
    return ImageInput(
        height=image.height,
        width=image.width,
        channels=image.channels,
        mean=tuple(image.mean),
        std=tuple(image.std),
        channels_first=image.channels_first,
    )


def _cloud(cloud: shape.Cloud | None) -> CloudTier | None:
    if cloud is None:
        return None
    column = cloud.answers.column if isinstance(cloud.answers, shape.Column) else None
    answers = CloudAnswers.COLUMN if column else CloudAnswers(cloud.answers)
    key = cloud.api_key
    return CloudTier(
        kind=TierKind(cloud.kind),
        endpoint=cloud.endpoint,
        protocol=Protocol(cloud.protocol),
        model=cloud.model,
        api_key=ApiKey(env=key.env, file=key.file) if key else None,
        usd_per_request=cloud.usd_per_request,
        rtt_p50_ms=cloud.rtt_ms.p50,
        rtt_p95_ms=cloud.rtt_ms.p95,
        answers=answers,
        answers_column=column,
        budget_usd=cloud.budget_usd,
    )
