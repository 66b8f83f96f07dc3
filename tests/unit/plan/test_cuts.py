"""A model in two parts as a way of a placement: cuts given, and cuts measured."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from placements import cut_problem

from edgewise.errors import InvalidRecord
from edgewise.plan.placement import check_placement, paying_cuts, place
from edgewise.plan.placement.cutting import points_of
from edgewise.records import (
    CutProfile,
    DeviceClass,
    MeasuredCut,
    Pool,
    Target,
)


def test_a_cut_that_pays_is_a_way_and_one_that_does_not_is_none() -> None:
    problem = cut_problem()

    found = place(problem)

    (way,) = found.assignments
    assert way.models == ("m@early.head", "m@early.tail")
    # 60 ms near, 100 ms for 10 kB, 50 ms of round trip, 64 ms far.
    assert way.latency_p95_ms == pytest.approx(20 * 3 + 100 + 50 + 40 * 1.6)
    assert check_placement(problem, found) == ()
    points = problem.cuts[0].points
    assert [c.name for c in paying_cuts(points, near_ms=100, far_ms=50, request_bytes=10**5)] == [
        "early"
    ]
    assert paying_cuts(points, near_ms=10, far_ms=50, request_bytes=10**5) == ()
    twice = replace(problem, cuts=(*problem.cuts, replace(problem.cuts[0], points=points[:0])))
    assert place(twice).usd_per_month == found.usd_per_month


TARGET = Target(
    cpu="a phone's",
    cpu_features=(),
    cores=8,
    memory_bytes=1,
    threads=1,
    runtime="onnxruntime",
    runtime_version="1",
)
MEASURED = CutProfile(
    model_sha256="aa",
    target=TARGET,
    whole_ms=200.0,
    input_bytes=100_000,
    rounds=40,
    points=(
        MeasuredCut(tensor="early", sent_bytes=10_000, head_ms=20.0, tail_ms=160.0),
        MeasuredCut(tensor="late", sent_bytes=1_000, head_ms=180.0, tail_ms=20.0),
    ),
)


def test_a_model_is_cut_in_the_same_place_on_two_classes() -> None:
    problem = cut_problem()
    (cuts,) = problem.cuts
    tablet = replace(
        problem,
        device_classes=(*problem.device_classes, DeviceClass(name="tablet", usd_per_month=1.0)),
        pools=(*problem.pools, Pool(tier="site", device_class="tablet", max_units=4)),
        profiles=(*problem.profiles, replace(problem.profiles[0], device_class="tablet")),
        cuts=(cuts, replace(cuts, near="tablet")),
    )

    found = place(tablet)

    (way,) = found.assignments
    assert (way.models, way.pools[0]) == (("m@early.head", "m@early.tail"), "site/tablet")
    assert check_placement(tablet, found) == ()


@pytest.mark.parametrize(
    ("near", "far", "before", "after", "origins"),
    [
        # The whole takes 100 ms near and 50 far: parts that were not measured have their share.
        (MEASURED, None, (20, 180), (40, 5), ("measured", "assumed")),
        (None, MEASURED, (10, 90), (160, 20), ("assumed", "measured")),
        (MEASURED, replace(MEASURED, points=MEASURED.points[:1]), (20,), (160,), ("measured",) * 2),
        (None, None, (), (), ("given",) * 2),
    ],
)
def test_cuts_measured_on_one_class_or_both_become_points(
    near: CutProfile | None,
    far: CutProfile | None,
    before: tuple[float, ...],
    after: tuple[float, ...],
    origins: tuple[str, ...],
) -> None:
    (given,) = cut_problem().cuts
    cuts = replace(given, points=(), near_measured=near, far_measured=far)

    points = points_of(cuts, near_ms=100.0, far_ms=50.0)

    assert tuple(one.before_ms for one in points) == pytest.approx(before)
    assert tuple(one.after_ms for one in points) == pytest.approx(after)
    figures = place(replace(cut_problem(), cuts=(cuts,))).figures
    of_cuts = [one for one in figures if one.unit == "ms at each cut"]
    assert [one.name for one in of_cuts] == ["m for a: head on box", "m for a: tail on rented"]
    assert tuple(one.origin.value for one in of_cuts) == origins


def test_a_measured_cut_that_pays_is_a_way() -> None:
    problem = cut_problem()
    cuts = replace(problem.cuts[0], points=(), near_measured=MEASURED, far_measured=None)
    measured = replace(problem, cuts=(cuts,))

    found = place(measured)

    (way,) = found.assignments
    assert way.models == ("m@early.head", "m@early.tail")
    # 60 ms near, 100 ms for 10 kB, 50 ms of round trip, 64 ms far: a share of 160 / 200 of 50 ms.
    assert way.latency_p95_ms == pytest.approx(20 * 3 + 100 + 50 + 40 * 1.6)
    assert check_placement(measured, found) == ()


def test_cuts_of_two_files_are_no_pair() -> None:
    other = replace(MEASURED, model_sha256="bb")

    with pytest.raises(InvalidRecord) as caught:
        replace(cut_problem().cuts[0], near_measured=MEASURED, far_measured=other)

    assert caught.value.what == "the cuts near are of another file than those far"
    assert caught.value.where == "cuts of model m"
    assert caught.value.hint == "measure the same ONNX file on both"


@pytest.mark.parametrize(
    ("make", "what", "where"),
    [
        (
            lambda: replace(MEASURED.points[0], sent_bytes=0),
            "0 bytes, 20.0 ms before and 160.0 ms after",
            "cut at early",
        ),
        (
            lambda: replace(MEASURED.points[0], tail_ms=math.inf),
            "10000 bytes, 20.0 ms before and inf ms after",
            "cut at early",
        ),
        (
            lambda: replace(MEASURED, whole_ms=0.0),
            "the whole model takes 0.0 ms",
            "CutProfile.whole_ms",
        ),
    ],
)
def test_a_cut_without_bytes_or_time_is_none(
    make: Callable[[], object], what: str, where: str
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        make()

    assert (caught.value.what, caught.value.where) == (what, where)
    assert "above 0" in caught.value.hint
