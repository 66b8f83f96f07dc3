"""`placement.yaml` is read, checked, and becomes a `PlacementProblem`."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from edgewise.errors import InvalidRecord, InvalidSpec
from edgewise.records import (
    CutPoint,
    CutProfile,
    DeviceClass,
    Handover,
    ModelCuts,
    ModelProfile,
    ModelQuality,
    Origin,
    PlacementModel,
    PlacementProblem,
    PlacementTier,
    PlacementWorkload,
    Pool,
    RelaxationPrices,
    TierKind,
    read_json,
)
from edgewise.spec import placement_model as shape
from edgewise.spec.marked import Marks, explained, parse, place_of, read_text
from edgewise.spec.uncertain import convert_all_money

_JOULES_PER_KWH = 3.6e6
MEMORY_OVER_SIZE = 3.0
"""Assumed where a profile says nothing of memory; activations may take far more."""


def load_placement(path: Path) -> PlacementProblem:
    """Read a file of workloads, models, tiers, device classes and pools.

    Raises
    ------
    InvalidSpec
        With the file, line and column, when anything in it can't be.
    """
    hint = "write one as docs/guides/placement.md shows, or begin with one of examples/"
    values, marks = parse(read_text(path, kind="placement file", hint=hint), path)
    convert_all_money(values)
    try:
        found = shape.PlacementFile.model_validate(values)
    except ValidationError as wrong:
        raise explained(wrong, marks, path, shape.PlacementFile) from wrong
    _check_names(found, marks, path)
    try:
        return _problem(found, path.parent)
    except InvalidRecord as wrong:
        what = f"{wrong.where}: {wrong.what}"
        raise InvalidSpec(what, where=str(path), hint=wrong.hint) from wrong


Place = tuple[str | int, ...]


def _check_names(found: shape.PlacementFile, marks: Marks, path: Path) -> None:
    """Hold every name that points at something to what is there."""
    there = {
        "tier": list(found.tiers),
        "device class": list(found.device_classes),
        "model": list(found.models),
    }
    for kind, name, at in _pointers(found):
        if name not in there[kind]:
            hint = f"{kind} names: {', '.join(there[kind])}"
            where = place_of(marks, at, path)
            raise InvalidSpec(f"`{name}` is no {kind}", where=where, hint=hint)


def _pointers(found: shape.PlacementFile) -> Iterator[tuple[str, str, Place]]:
    for at, pool in enumerate(found.pools):
        yield "tier", pool.tier, ("pools", at, "tier")
        yield "device class", pool.device_class, ("pools", at, "device_class")
    for name, model in found.models.items():
        for machine in model.profiles:
            yield "device class", machine, ("models", name, "profiles", machine, "<key>")
    for name, work in found.workloads.items():
        for model_name in work.qualities:
            yield "model", model_name, ("workloads", name, "qualities", model_name, "<key>")
        for at, one in enumerate(work.handovers):
            yield "model", one.near, ("workloads", name, "handovers", at, "near")
            yield "model", one.far, ("workloads", name, "handovers", at, "far")
        for at, cuts in enumerate(work.cuts):
            yield "model", cuts.model, ("workloads", name, "cuts", at, "model")
            yield "device class", cuts.near, ("workloads", name, "cuts", at, "near")
            yield "device class", cuts.far, ("workloads", name, "cuts", at, "far")


def _problem(found: shape.PlacementFile, folder: Path) -> PlacementProblem:
    works, energy = found.workloads.items(), found.energy_kwh_per_month
    return PlacementProblem(
        name=found.name,
        workloads=tuple(_workload(name, work) for name, work in works),
        tiers=tuple(
            PlacementTier(name=name, kind=TierKind(tier.kind), **tier.model_dump(exclude={"kind"}))
            for name, tier in found.tiers.items()
        ),
        device_classes=tuple(
            DeviceClass(
                name=name,
                memory_bytes=machine.memory,
                storage_bytes=machine.storage,
                **machine.model_dump(exclude={"memory", "storage"}),
            )
            for name, machine in found.device_classes.items()
        ),
        pools=tuple(Pool(**pool.model_dump()) for pool in found.pools),
        models=tuple(
            PlacementModel(name=name, size_bytes=model.size or 0)
            for name, model in found.models.items()
        ),
        profiles=tuple(
            _profile(name, model, machine, one)
            for name, model in found.models.items()
            for machine, one in model.profiles.items()
        ),
        qualities=tuple(
            ModelQuality(workload=name, model=model, **quality.model_dump())
            for name, work in works
            for model, quality in work.qualities.items()
        ),
        handovers=tuple(_handover(name, one) for name, work in works for one in work.handovers),
        cuts=tuple(_cuts(name, one, folder) for name, work in works for one in work.cuts),
        budget_usd_per_month=found.budget_usd_per_month,
        joules_per_month=None if energy is None else energy * _JOULES_PER_KWH,
        usd_per_kwh=found.usd_per_kwh,
        utilizations=tuple(found.utilizations),
        prices=RelaxationPrices(**found.prices.model_dump()),
    )


_ELSEWHERE = {"qualities", "handovers", "cuts", "kinds", "regions", "request"}


def _workload(name: str, work: shape.PlacedWorkload) -> PlacementWorkload:
    return PlacementWorkload(
        name=name,
        kinds=tuple(TierKind(kind) for kind in work.kinds),
        regions=tuple(work.regions),
        request_bytes=work.request or 0,
        **work.model_dump(exclude=_ELSEWHERE),
    )


def _profile(
    name: str, model: shape.PlacedModel, machine: str, one: shape.OnDevice
) -> ModelProfile:
    memory, origin = one.memory, Origin(one.memory_origin)
    if memory is None:
        memory, origin = round(MEMORY_OVER_SIZE * (model.size or 0)), Origin.ASSUMED
    return ModelProfile(
        model=name,
        device_class=machine,
        peak_memory_bytes=memory,
        memory_origin=origin,
        **one.model_dump(exclude={"memory", "memory_origin"}),
    )


def _handover(workload: str, one: shape.HandedOver) -> Handover:
    return Handover(workload=workload, sent_bytes=one.sent, **one.model_dump(exclude={"sent"}))


def _cuts(workload: str, cuts: shape.Cuts, folder: Path) -> ModelCuts:
    files = cuts.measured or shape.MeasuredCuts.model_construct()
    return ModelCuts(
        workload=workload,
        points=tuple(
            CutPoint(
                name=one.name,
                activation_bytes=one.activation,
                before_ms=one.before_ms,
                after_ms=one.after_ms,
            )
            for one in cuts.points
        ),
        near_measured=_measured(files.near, folder),
        far_measured=_measured(files.far, folder),
        **cuts.model_dump(exclude={"points", "measured"}),
    )


def _measured(name: str | None, folder: Path) -> CutProfile | None:
    if name is None:
        return None
    if not (folder / name).is_file():
        hint = "measure it with `edgewise cuts MODEL.onnx --out FILE`"
        raise InvalidRecord("no such file", where=name, hint=hint)
    return read_json(CutProfile, folder / name)
