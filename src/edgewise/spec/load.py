"""`edgewise.yaml` is read, checked, and becomes a `ProjectSpec`."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from edgewise.errors import EdgewiseError, InvalidSpec
from edgewise.records import (
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
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    ProjectSpec,
    Protocol,
    RoutingSpec,
    Task,
    TierKind,
    Workload,
)
from edgewise.spec import model as shape
from edgewise.spec.chat_model import ChatProject
from edgewise.spec.costing import costs_record
from edgewise.spec.routed import key_of, routing_of
from edgewise.spec.uncertain import convert_money, take_distributions

S = TypeVar("S", bound=BaseModel)
Marks = dict[tuple[str | int, ...], tuple[int, int]]

_MOST_VALUES = 100_000


def load_spec(path: Path) -> ProjectSpec:
    """Read a project file.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    values, marks = _values(path)
    if values.get("task") == "text-generation":
        what = "a project for text generation has nothing to build"
        hint = "serve it: `edgewise.spec.load_chat_policy` gives its policy"
        raise InvalidSpec(what, where=_where(marks, ("task",), path), hint=hint)
    uncertain = take_distributions(values, lambda at: _where(marks, at, path))
    uncertain = convert_money(values, uncertain)
    project = _shaped(shape.Project, values, marks, path)
    _check_tiers(project, marks, path)
    spec = _spec(project, _routing(project, marks, path), path.resolve())
    return replace(spec, costs=costs_record(project.costs, uncertain))


def read_chat_project(path: Path) -> tuple[ChatProject, RoutingSpec]:
    """Read the file of a project for text generation.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    values, marks = _values(path)
    project = _shaped(ChatProject, values, marks, path)
    _check_residency(project.privacy, ("edge", "cloud"), marks, path)
    return project, _routing(project, marks, path)


def _shaped(kind: type[S], values: Any, marks: Marks, path: Path) -> S:
    try:
        return kind.model_validate(values)
    except ValidationError as wrong:
        raise _explained(wrong, kind, marks, path) from wrong


def _values(path: Path) -> tuple[Any, Marks]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as absent:
        hint = "write one with `edgewise init`"
        raise InvalidSpec("no such project file", where=str(path), hint=hint) from absent
    except UnicodeDecodeError as broken:
        what = f"not UTF-8 (byte {broken.start})"
        raise InvalidSpec(what, where=str(path), hint="save it as UTF-8 text") from broken
    except OSError as failure:
        what, hint = f"can't be read: {failure.strerror}", "give the path of a project file"
        raise InvalidSpec(what, where=str(path), hint=hint) from failure
    return _parse(text, path)


def _parse(text: str, path: Path) -> tuple[Any, Marks]:
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
    """Notes the line and column of each value and key of a file. Made by `_parse`.

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


def _where(marks: Marks, at: tuple[str | int, ...], path: Path) -> str:
    """Give the place of a value, or of the nearest thing around it that has one."""
    while at not in marks:
        at = at[:-1]
    line, column = marks[at]
    return f"{path}:{line}:{column}"


def _explained(
    wrong: ValidationError, root: type[BaseModel], marks: Marks, path: Path
) -> InvalidSpec:
    found = wrong.errors(include_url=False)
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    at = tuple(first["loc"])
    extra = first["type"] == "extra_forbidden"
    where = _where(marks, (*at, "<key>") if extra else at, path)
    dotted = ".".join(
        str(part) for part in at if part not in ("Column",) and not str(part).startswith("literal")
    )
    if extra:
        known = _keys_at(at[:-1], root)
        near = difflib.get_close_matches(str(at[-1]), known, n=1, cutoff=0.4)
        hint = f"did you mean `{near[0]}`?" if near else f"keys there: {', '.join(known)}"
        return InvalidSpec(f"unknown key `{dotted}`", where=where, hint=hint)
    if first["type"] == "missing":
        hint = "`edgewise init --explain` shows every key"
        return InvalidSpec(f"key `{dotted}` is missing", where=where, hint=hint)
    if at[-1:] == ("api_key",) and first["type"] == "model_type":
        hint = "write `api_key: {env: NAME}` or `{file: PATH}`: a secret is never in the file"
        return InvalidSpec(f"`{dotted}` holds a plain value", where=where, hint=hint)
    what = f"`{dotted}`: {first['msg'][0].lower()}{first['msg'][1:]}"
    return InvalidSpec(what, where=where, hint=_field_hint(at, root))


def _section_at(at: Sequence[str | int], root: type[BaseModel]) -> type[BaseModel] | None:
    current: Any = root
    inside = False  # a list or a mapping, whose next part is an index or a key of the user's
    for part in at:
        if inside:
            inside = False
            continue
        field = current.model_fields.get(str(part)) if current is not None else None
        if field is None:
            return None
        inside = get_origin(field.annotation) in (list, dict)
        kinds = [field.annotation, *get_args(field.annotation)]
        current = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    found: type[BaseModel] | None = current
    return found


def _keys_at(at: Sequence[str | int], root: type[BaseModel]) -> list[str]:
    section = _section_at(at, root)
    return list(section.model_fields) if section is not None else []


def _field_hint(at: Sequence[str | int], root: type[BaseModel]) -> str:
    for end in range(len(at), 0, -1):
        section = _section_at(at[: end - 1], root)
        field = section.model_fields.get(str(at[end - 1])) if section is not None else None
        if field is not None and field.description:
            return f"{at[end - 1]}: {field.description}"
    return "`edgewise init --explain` shows every key"


def _check_tiers(project: shape.Project, marks: Marks, path: Path) -> None:
    cloud = project.tiers.cloud
    equals = {} if cloud is None else cloud.equals
    names = ("edge", "cloud", *equals)
    for name in equals:
        where = _where(marks, ("tiers", "cloud", "equals", name, "<key>"), path)
        if name in ("edge", "cloud"):
            raise InvalidSpec(f"`{name}` is a tier", where=where, hint="take another name")
        if cloud is not None and cloud.endpoint is None:
            what = f"`{name}` is equal to a cloud without an endpoint"
            raise InvalidSpec(what, where=where, hint="give `tiers.cloud.endpoint` too")
    _check_residency(project.privacy, names, marks, path)
    if project.task == "image-classification" and project.model.image is None:
        where = _where(marks, ("model",), path)
        hint = "add `image: {height: 224, width: 224}`"
        raise InvalidSpec("image classification needs model.image", where=where, hint=hint)


def _check_residency(
    privacy: shape.Privacy, names: tuple[str, ...], marks: Marks, path: Path
) -> None:
    for region, tiers in privacy.residency.items():
        for index, tier in enumerate(tiers):
            if tier not in names:
                where = _where(marks, ("privacy", "residency", region, index), path)
                hint = f"tiers: {', '.join(names)}"
                raise InvalidSpec(f"`{tier}` is no tier", where=where, hint=hint)


def _routing(project: shape.Project | ChatProject, marks: Marks, path: Path) -> RoutingSpec:
    preroute = project.routing.preroute
    if preroute is not None:
        where = _where(marks, ("routing", "preroute", "<key>"), path)
        if project.task == "image-classification":
            hint = "leave it out"
            raise InvalidSpec("a pre-router reads text, not images", where=where, hint=hint)
        if project.tiers.cloud is None:
            hint = "add `tiers.cloud`"
            raise InvalidSpec("there is no cloud to go to at once", where=where, hint=hint)
    try:
        return routing_of(project.routing, project.budget, project.offline, path.resolve().parent)
    except EdgewiseError as wrong:
        where = _where(marks, ("routing", "preroute", "weights"), path)
        what = f"`routing.preroute.weights`: {wrong.where}: {wrong.what}"
        hint = "write them by `write_json(path, PreRouter.fit(…).weights)`"
        raise InvalidSpec(what, where=where, hint=hint) from wrong


def _spec(project: shape.Project, routing: RoutingSpec, path: Path) -> ProjectSpec:
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
            columns=Columns(
                input=chosen,
                label=columns.label,
                group=columns.group,
                cluster=columns.cluster,
            ),
        ),
        edge=EdgeTier(
            kind=TierKind(edge.kind),
            memory_bytes=edge.memory,
            storage_bytes=edge.storage,
            threads=edge.threads,
            max_in_flight=edge.max_in_flight,
        ),
        cloud=_cloud(project.tiers.cloud),
        objective=Objective(
            latency_p95_ms=project.objective.latency_p95_ms,
            max_quality_loss=project.objective.max_quality_loss,
            confidence=project.objective.confidence,
            loss=Loss(project.objective.loss),
        ),
        optimize=OptimizeSpec(
            recipes=tuple(project.optimize.recipes),
            layers=tuple(project.optimize.layers) if project.optimize.layers else None,
            min_agreement=project.optimize.min_agreement,
            max_cut_loss=project.optimize.max_cut_loss,
            training_minutes=project.optimize.training_minutes,
            calibration=CalibrationChoice(project.optimize.calibration),
        ),
        privacy=privacy_rules(project.privacy),
        routing=routing,
        workload=Workload(**project.workload.model_dump()),
        path=path,
    )


def privacy_rules(privacy: shape.Privacy) -> PrivacyRules:
    """Give the rules of a file's `privacy`."""
    return PrivacyRules(
        flag=privacy.flag,
        detect=tuple(privacy.detect),
        actions=PrivacyActions(by_kind={k: PrivacyAction(v) for k, v in privacy.actions.items()}),
        residency_key=privacy.residency_key,
        residency={k: tuple(v) for k, v in privacy.residency.items()},
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
    return CloudTier(
        kind=TierKind(cloud.kind),
        endpoint=cloud.endpoint,
        equals=dict(cloud.equals),
        max_in_flight=cloud.max_in_flight,
        protocol=Protocol(cloud.protocol),
        model=cloud.model,
        api_key=key_of(cloud.api_key),
        usd_per_request=cloud.usd_per_request,
        rtt_p50_ms=cloud.rtt_ms.p50,
        rtt_p95_ms=cloud.rtt_ms.p95,
        answers=answers,
        answers_column=column,
        budget_usd=cloud.budget_usd,
    )
