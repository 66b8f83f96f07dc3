"""A model cut in two, its head near and its tail far, as one more way for a workload."""

from collections.abc import Sequence
from dataclasses import replace

from edgewise.errors import UsageError
from edgewise.records import (
    CutPoint,
    Handover,
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


def with_cuts(
    problem: PlacementProblem,
    cuts: Sequence[CutPoint],
    *,
    workload: str,
    model: str,
    near: str,
    far: str,
) -> PlacementProblem:
    """Give the problem with the cuts of a model that pay as ways for a workload.

    Times of the parts are the cuts'; the ratio of their p95 to their mean and their memory are
    taken from the whole model on the same device, and memory is said to be assumed.

    Parameters
    ----------
    near, far
        Device classes of the head and of the tail.

    Raises
    ------
    UsageError
        The whole model has no quality for the workload, or no profile on one of the classes.
    """
    whole = {one.device_class: one for one in problem.profiles if one.model == model}
    works = [one for one in problem.workloads if one.name == workload]
    qualities = [one for one in problem.qualities if (one.workload, one.model) == (workload, model)]
    if near not in whole or far not in whole or not qualities or not works:
        what = f"`{model}` has no profile on `{near}` and `{far}`, or no quality for `{workload}`"
        raise UsageError(
            what, where="with_cuts", hint="give the whole model's profiles and quality"
        )
    paying = paying_cuts(
        cuts,
        near_ms=whole[near].mean_ms,
        far_ms=whole[far].mean_ms,
        request_bytes=works[0].request_bytes,
    )
    size = next(one.size_bytes for one in problem.models if one.name == model)
    models, profiles, handovers = [], [], []
    for cut in paying:
        head, tail = f"{model}@{cut.name}.head", f"{model}@{cut.name}.tail"
        models += [PlacementModel(name=one, size_bytes=size) for one in (head, tail)]
        profiles += [
            _part(whole[near], head, cut.before_ms),
            _part(whole[far], tail, cut.after_ms),
        ]
        quality = qualities[0]
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
    return replace(
        problem,
        models=(*problem.models, *models),
        profiles=(*problem.profiles, *profiles),
        handovers=(*problem.handovers, *handovers),
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
