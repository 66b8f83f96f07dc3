"""`edgewise.yaml` is read, checked, and becomes a `ProjectSpec`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgewise.errors import EdgewiseError, InvalidSpec
from edgewise.records import (
    AuditRules,
    CalibrationChoice,
    CloudAnswers,
    CloudTier,
    Columns,
    DataSpec,
    Distribution,
    EdgeTier,
    ImageInput,
    Loss,
    ModelSpec,
    Objective,
    OnVoid,
    OptimizeSpec,
    PrivacyAction,
    PrivacyActions,
    PrivacyRules,
    ProjectSpec,
    Protocol,
    RoutingSpec,
    Task,
    TierKind,
    TiersSpec,
    Workload,
)
from edgewise.spec import model as shape
from edgewise.spec.chat_model import ChatProject
from edgewise.spec.costing import costs_record, defaults_of
from edgewise.spec.marked import Marks, explained, parse, place_of, read_text
from edgewise.spec.routed import key_of, routing_of
from edgewise.spec.serving import queue_of, service_of
from edgewise.spec.uncertain import convert_money, take_distributions

S = TypeVar("S", bound=BaseModel)


def load_spec(path: Path) -> ProjectSpec:
    """Read a project file.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    values, marks = parse(read_text(path), path)
    if values.get("task") == "text-generation":
        what = "a project for text generation has nothing to build"
        hint = "serve it: `edgewise.spec.load_chat_policy` gives its policy"
        raise InvalidSpec(what, where=place_of(marks, ("task",), path), hint=hint)
    uncertain = take_distributions(values, lambda at: place_of(marks, at, path))
    uncertain = convert_money(values, uncertain)
    project = _shaped(shape.Project, values, marks, path)
    _check_tiers(project, marks, path)
    if project.task == "image-classification" and project.model.image is None:
        where = place_of(marks, ("model",), path)
        hint = "add `image: {height: 224, width: 224}`"
        raise InvalidSpec("image classification needs model.image", where=where, hint=hint)
    spec = _spec(project, _routing(project, marks, path), path.resolve())
    return replace(spec, costs=costs_record(project.costs, uncertain))


def load_tiers(path: Path) -> TiersSpec:
    """Read what a project file says of its tiers; the project itself may be unfinished.

    The edge is there where the file names it, has a model, or has no cloud.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    values, marks = parse(read_text(path), path)
    convert_money(values, take_distributions(values, lambda at: place_of(marks, at, path)))
    sketch = _shaped(shape.Sketch, values, marks, path)
    _check_tiers(sketch, marks, path)
    tiers = sketch.tiers
    named = "edge" in tiers.model_fields_set or sketch.model is not None or tiers.cloud is None
    return TiersSpec(
        edge=_edge(tiers.edge) if named else None,
        cloud=_cloud(tiers.cloud),
        privacy=privacy_rules(sketch.privacy),
        objective=objective_record(sketch.objective),
        routing=_routing(sketch, marks, path),
        path=path.resolve(),
        audit=_audit(sketch.audit),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadChats:
    """A file for text generation as it was read. Made here, becomes a policy or is planned."""

    project: ChatProject
    routing: RoutingSpec
    uncertain: Mapping[str, Distribution]
    marks: Marks
    path: Path

    def place(self, *at: str) -> str:
        """Give the file, line and column of a value, or of what would hold it."""
        return place_of(self.marks, at, self.path)


def read_chat_project(path: Path, kind: type[ChatProject] = ChatProject) -> ReadChats:
    """Read the file of a project for text generation.

    Parameters
    ----------
    kind
        The shape that the file must have.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    values, marks = parse(read_text(path), path)
    uncertain = take_distributions(values, lambda at: place_of(marks, at, path))
    uncertain = convert_money(values, uncertain)
    project = _shaped(kind, values, marks, path)
    _check_residency(project.privacy, ("edge", "cloud"), marks, path)
    routing = _routing(project, marks, path)
    return ReadChats(project=project, routing=routing, uncertain=uncertain, marks=marks, path=path)


def _shaped(kind: type[S], values: Any, marks: Marks, path: Path) -> S:
    try:
        return kind.model_validate(values)
    except ValidationError as wrong:
        raise explained(wrong, marks, path, kind) from wrong


def _check_tiers(project: shape.Project, marks: Marks, path: Path) -> None:
    cloud = project.tiers.cloud
    equals = {} if cloud is None else cloud.equals
    names = ("edge", "cloud", *equals)
    for name in equals:
        where = place_of(marks, ("tiers", "cloud", "equals", name, "<key>"), path)
        if name in ("edge", "cloud"):
            raise InvalidSpec(f"`{name}` is a tier", where=where, hint="take another name")
        if cloud is not None and cloud.endpoint is None:
            what = f"`{name}` is equal to a cloud without an endpoint"
            raise InvalidSpec(what, where=where, hint="give `tiers.cloud.endpoint` too")
    _check_residency(project.privacy, names, marks, path)


def _check_residency(
    privacy: shape.Privacy, names: tuple[str, ...], marks: Marks, path: Path
) -> None:
    for region, tiers in privacy.residency.items():
        for index, tier in enumerate(tiers):
            if tier not in names:
                where = place_of(marks, ("privacy", "residency", region, index), path)
                hint = f"tiers: {', '.join(names)}"
                raise InvalidSpec(f"`{tier}` is no tier", where=where, hint=hint)


def _routing(project: shape.Project | ChatProject, marks: Marks, path: Path) -> RoutingSpec:
    preroute = project.routing.preroute
    if preroute is not None:
        where = place_of(marks, ("routing", "preroute", "<key>"), path)
        if project.task == "image-classification":
            hint = "leave it out"
            raise InvalidSpec("a pre-router reads text, not images", where=where, hint=hint)
        if project.tiers.cloud is None:
            hint = "add `tiers.cloud`"
            raise InvalidSpec("there is no cloud to go to at once", where=where, hint=hint)
    try:
        return routing_of(project.routing, project.budget, project.offline, path.resolve().parent)
    except EdgewiseError as wrong:
        where = place_of(marks, ("routing", "preroute", "weights"), path)
        what = f"`routing.preroute.weights`: {wrong.where}: {wrong.what}"
        hint = "write them by `write_json(path, PreRouter.fit(…).weights)`"
        raise InvalidSpec(what, where=where, hint=hint) from wrong


def _spec(project: shape.Project, routing: RoutingSpec, path: Path) -> ProjectSpec:
    def at(text: str) -> Path:
        return (path.parent / text).resolve()

    model, data = project.model, project.data
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
        edge=_edge(project.tiers.edge),
        cloud=_cloud(project.tiers.cloud),
        objective=objective_record(project.objective),
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
        audit=_audit(project.audit),
        workload=workload_record(project.workload),
        trace=trace_of(project.workload, path),
        defaults=defaults_of(project),
        path=path,
    )


def _edge(edge: shape.Edge) -> EdgeTier:
    return EdgeTier(
        kind=TierKind(edge.kind),
        memory_bytes=edge.memory,
        storage_bytes=edge.storage,
        threads=edge.threads,
        max_in_flight=edge.max_in_flight,
        service=service_of(edge.service),
        servers=edge.servers,
        queue=queue_of(edge.queue),
    )


def workload_record(workload: shape.Workload) -> Workload:
    """Give the record of a file's `workload`."""
    return Workload(**workload.model_dump(exclude={"trace"}))


def trace_of(workload: shape.Workload, path: Path) -> Path | None:
    """Give the absolute path of the workload's requests; `path` is the file that names them."""
    return (path.parent / workload.trace).resolve() if workload.trace else None


def objective_record(objective: shape.Objective) -> Objective:
    """Give the record of a file's `objective`."""
    return Objective(
        latency_p95_ms=objective.latency_p95_ms,
        max_quality_loss=objective.max_quality_loss,
        confidence=objective.confidence,
        loss=Loss(objective.loss),
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


def _audit(audit: shape.Audit | None) -> AuditRules | None:
    if audit is None:
        return None
    return AuditRules(
        share=audit.share, usd_per_day=audit.usd_per_day, on_void=OnVoid(audit.on_void)
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
        service=service_of(cloud.service),
        servers=cloud.servers,
        queue=queue_of(cloud.queue),
    )
