"""A model cut in two, its head near and its tail far, as one more way for a workload."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgewise.records import (
    CutPoint,
    Figure,
    Handover,
    ModelCuts,
    ModelProfile,
    Origin,
    PlacementModel,
    PlacementProblem,
)


def paying_cuts(
    cuts: Sequence[CutPoint], *, near_ms: float, far_ms: float, request_bytes: int
) -> tuple[CutPoint, ...]:
    """Leave out each cut that another beats in what runs near, what is sent and what runs far.

    Parameters
    ----------
    near_ms, far_ms
        Mean time of the whole model on either device: not cutting is a rival too, at either end.
    request_bytes
        What is sent where the whole model runs far.
    """
    ends = [(near_ms, 0.0, 0.0), (0.0, float(request_bytes), far_ms)]
    points = [(cut.before_ms, float(cut.activation_bytes), cut.after_ms) for cut in cuts]
    return tuple(
        cut
        for at, (cut, mine) in enumerate(zip(cuts, points, strict=True))
        if not any(
            all(a <= b for a, b in zip(other, mine, strict=True))
            and (other != mine or o < at + len(ends))
            for o, other in enumerate([*ends, *points])
            if o != at + len(ends)
        )
    )


def points_of(cuts: ModelCuts, *, near_ms: float, far_ms: float) -> tuple[CutPoint, ...]:
    """Give the places to cut: those given, or those measured.

    Where only one class of device was measured, the other's parts take the same shares of the
    whole model there as on the first.

    Parameters
    ----------
    near_ms, far_ms
        Mean time of the whole model on either device.
    """
    near, far = cuts.near_measured, cuts.far_measured
    after = {} if far is None else {one.tensor: one.tail_ms for one in far.points}
    if near is None:
        before = {}
        if far is not None:
            before = {o.tensor: o.head_ms / far.whole_ms * near_ms for o in far.points}
    else:
        before = {one.tensor: one.head_ms for one in near.points}
        if far is None:
            after = {o.tensor: o.tail_ms / near.whole_ms * far_ms for o in near.points}
    seen = near or far
    measured = [
        CutPoint(
            name=one.tensor,
            activation_bytes=one.sent_bytes,
            before_ms=before[one.tensor],
            after_ms=after[one.tensor],
        )
        for one in (seen.points if seen is not None else ())
        if one.tensor in before and one.tensor in after
    ]
    return (*cuts.points, *measured)


def figures_of_cuts(problem: PlacementProblem) -> Iterator[Figure]:
    """Say of each cut model what its parts' times rest on."""
    for cuts in problem.cuts:
        for part, at, seen, other in (
            ("head", cuts.near, cuts.near_measured, cuts.far_measured),
            ("tail", cuts.far, cuts.far_measured, cuts.near_measured),
        ):
            origin, source = Origin.GIVEN, "points"
            if seen is not None:
                origin, source = Origin.MEASURED, f"{seen.rounds} rounds on {seen.target.cpu}"
            elif other is not None:
                origin = Origin.ASSUMED
                source = f"the same shares of the whole as on {other.target.cpu}"
            yield Figure(
                name=f"{cuts.model} for {cuts.workload}: {part} on {at}",
                value=None,
                unit="ms at each cut",
                origin=origin,
                source=source,
            )


def with_cuts(problem: PlacementProblem) -> PlacementProblem:
    """Give the problem with the cuts that pay as models, profiles and handovers of their own.

    Times of the parts are the cuts'; the ratio of their p95 to their mean and their memory are
    taken from the whole model on the same device, and memory is said to be assumed. Workloads that
    cut a model at one place share its parts.
    """
    for cuts in problem.cuts:
        problem = _opened(problem, cuts)
    return replace(problem, cuts=())


def _opened(problem: PlacementProblem, cuts: ModelCuts) -> PlacementProblem:
    model, workload = cuts.model, cuts.workload
    whole = {one.device_class: one for one in problem.profiles if one.model == model}
    near, far = whole[cuts.near], whole[cuts.far]
    work = next(one for one in problem.workloads if one.name == workload)
    quality = next(
        one for one in problem.qualities if (one.workload, one.model) == (workload, model)
    )
    points = points_of(cuts, near_ms=near.mean_ms, far_ms=far.mean_ms)
    paying = paying_cuts(
        points, near_ms=near.mean_ms, far_ms=far.mean_ms, request_bytes=work.request_bytes
    )
    size = next(one.size_bytes for one in problem.models if one.name == model)
    models: list[PlacementModel] = []
    profiles: list[ModelProfile] = []
    handovers: list[Handover] = []
    for cut in paying:
        head, tail = f"{model}@{cut.name}.head", f"{model}@{cut.name}.tail"
        models += [PlacementModel(name=one, size_bytes=size) for one in (head, tail)]
        profiles += [_part(near, head, cut.before_ms), _part(far, tail, cut.after_ms)]
        handovers.append(
            Handover(
                workload=workload,
                near=head,
                far=tail,
                share=1.0,
                value=quality.value,
                low=quality.low,
                high=quality.high,
                sent_bytes=cut.activation_bytes,
            )
        )
    named = {one.name for one in problem.models}
    placed = {(one.model, one.device_class) for one in problem.profiles}
    return replace(
        problem,
        models=(*problem.models, *(one for one in models if one.name not in named)),
        profiles=(
            *problem.profiles,
            *(one for one in profiles if (one.model, one.device_class) not in placed),
        ),
        handovers=(
            *problem.handovers,
            *(one for one in handovers if one not in problem.handovers),
        ),
    )


def _part(whole: ModelProfile, name: str, mean_ms: float) -> ModelProfile:
    share = mean_ms / whole.mean_ms
    return replace(
        whole,
        model=name,
        mean_ms=mean_ms,
        p95_ms=whole.p95_ms * share,
        joules=whole.joules * share,
        memory_origin=Origin.ASSUMED,
    )
