"""The algebra of records: what is written is what is read, and a hash is of the meaning."""

import dataclasses
import enum
import functools
import json
import string
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placements import problems, workloads

from edgewise import records
from edgewise.errors import InvalidRecord
from edgewise.records import (
    MEASURES,
    AuditRules,
    AuditSample,
    Autoscaling,
    Batching,
    BreakerRules,
    BundleManifest,
    CalibrationKind,
    Certificate,
    CertificateState,
    ConfidenceMap,
    CutPoint,
    CutProfile,
    DecisionBin,
    DeviceClass,
    Distribution,
    DriftRules,
    Effect,
    Handover,
    Histogram,
    LatencyCurve,
    LearnedScore,
    MeasuredCut,
    ModelCuts,
    ModelProfile,
    ModelQuality,
    OfflineRules,
    OptionReplay,
    PlacementModel,
    PlacementProblem,
    PlacementTier,
    PlacementWorkload,
    Policy,
    Pool,
    PreRouteRules,
    PreRouterWeights,
    Price,
    PriceRow,
    ProbeRules,
    QueueRules,
    RelaxationPrices,
    Score,
    ServiceFormula,
    Shape,
    SpendingLimit,
    StreamRules,
    TextConfidence,
    TierPolicy,
    TraceReplay,
    VolumeDiscount,
    decode,
    digest,
    encode,
    read_json,
    write_json,
)
from edgewise.records.preroute import READER
from edgewise.route import compare_policies

NAMES = st.text(string.ascii_letters + "é ._", max_size=8)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: NAMES,
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    object: st.none() | st.booleans() | NAMES,
}
SHARES = st.floats(0.001, 0.999)
USD = st.floats(0.0, 1e9)
COUNTS, TIMES_S = st.integers(1, 2**53), st.floats(0.001, 1e9)
TIMES_MS = st.floats(0.0, 1e12)
CHECKED: dict[Any, dict[str, st.SearchStrategy[Any]]] = {
    Autoscaling: {
        "least": st.integers(1, 9),
        "most": st.integers(9, 2**53),
        "delay_s": TIMES_MS,
        "look_s": TIMES_S,
        "target_utilization": SHARES,
    },
    Batching: {"most": COUNTS, "wait_ms": TIMES_MS, "added_share": TIMES_MS},
    QueueRules: {"most_waiting": st.none() | COUNTS},
    BreakerRules: {"window": COUNTS},
    ProbeRules: dict.fromkeys(("open_s", "timeout_ms"), TIMES_S),
    PreRouteRules: dict.fromkeys(("usd_per_quality", "late_ms_per_quality"), st.none() | TIMES_S),
    TraceReplay: {"peak_ratio": st.none() | st.floats(1.0, 1e9), "private_share": SHARES},
    ServiceFormula: {one.name: TIMES_MS for one in dataclasses.fields(ServiceFormula)},
    TierPolicy: {
        "servers": st.none() | COUNTS,
        "usd_per_request": USD,
        **dict.fromkeys(("rtt_p50_ms", "rtt_p95_ms"), TIMES_MS),
    },
    Policy: {"deadline_ms": st.none() | TIMES_S},
    AuditSample: dict.fromkeys(("edge_quality", "far_quality"), SHARES),
    AuditRules: {
        **dict.fromkeys(("share", "label_share"), SHARES),
        **dict.fromkeys(("per_hour", "per_day"), st.none() | COUNTS),
        **dict.fromkeys(("at_once", "samples_kept"), COUNTS),
        **dict.fromkeys(("usd_per_hour", "usd_per_day"), st.none() | USD),
        **dict.fromkeys(("timeout_ms", "label_wait_s"), TIMES_S),
    },
    DriftRules: {
        "window": COUNTS,
        "false_alarms": SHARES,
        "directions": st.just(((0.6, -0.6),)),
    },
    Histogram: {
        "edges": st.just((0.5, 2.0)),
        "counts": st.tuples(COUNTS, st.integers(0, 9), st.integers(0, 9)),
    },
    OfflineRules: {
        **dict.fromkeys(("max_count", "max_bytes", "max_answer_bytes", "max_tries"), COUNTS),
        **dict.fromkeys(("max_age_s", "keep_answers_s"), TIMES_S),
    },
    Price: {one.name: USD for one in dataclasses.fields(Price)},
    PriceRow: {
        "item": NAMES.filter(bool),
        "measure": st.sampled_from(MEASURES),
        "value": USD,
    },
    CutProfile: {"whole_ms": TIMES_S},
    ModelCuts: {"far_measured": st.none()},
    VolumeDiscount: {"from_requests": USD, "share": SHARES},
    StreamRules: {"commit_after_tokens": st.none() | COUNTS},
    TextConfidence: {"first_tokens": st.none() | COUNTS},
    SpendingLimit: {one.name: st.none() | USD for one in dataclasses.fields(SpendingLimit)},
}
"""Fields that a record checks by itself."""
SHARES_TO_ONE, POINTS = st.floats(0.0, 1.0), st.none() | st.floats(0.0, 9.0)
INTERVALS = st.tuples(SHARES_TO_ONE, SHARES_TO_ONE, SHARES_TO_ONE).map(sorted)
WHOLE: dict[Any, st.SearchStrategy[Any]] = {
    PlacementProblem: problems(),
    PlacementWorkload: workloads("w", whole=None, limits=True),
    PlacementTier: problems().map(lambda one: one.tiers[0]),
    DeviceClass: problems().map(lambda one: one.device_classes[0]),
    Pool: problems().map(lambda one: one.pools[0]),
    PlacementModel: problems().map(lambda one: one.models[0]),
    ModelProfile: problems().map(lambda one: one.profiles[0]),
    ModelQuality: problems().map(lambda one: one.qualities[0]),
    Handover: st.builds(
        lambda share, ends: Handover(
            workload="w", near="n", far="f", share=share, low=ends[0], value=ends[1], high=ends[2]
        ),
        SHARES_TO_ONE,
        INTERVALS,
    ),
    CutPoint: st.builds(
        CutPoint,
        name=NAMES,
        activation_bytes=COUNTS.map(lambda n: n % 10**9),
        before_ms=TIMES_S,
        after_ms=TIMES_S,
    ),
    MeasuredCut: st.builds(
        MeasuredCut, tensor=NAMES, sent_bytes=COUNTS, head_ms=TIMES_S, tail_ms=TIMES_S
    ),
    OptionReplay: st.builds(
        lambda option, shares, times, unstable: OptionReplay(
            option=option,
            points=tuple(zip(sorted(shares), sorted(times), strict=True)),
            unstable=unstable,
        ),
        NAMES,
        st.tuples(st.floats(0.0, 0.4), st.floats(0.5, 1.0)),
        st.tuples(TIMES_MS, TIMES_MS),
        st.dictionaries(NAMES, TIMES_MS),
    ),
    LatencyCurve: st.builds(
        lambda option, shares, times, is_measured: LatencyCurve(
            option=option,
            points=tuple(zip(sorted(shares), sorted(times), strict=True)),
            is_measured=is_measured,
        ),
        NAMES,
        st.tuples(st.floats(0.0, 0.4), st.floats(0.5, 1.0)),
        st.tuples(TIMES_MS, TIMES_MS),
        st.booleans(),
    ),
    DecisionBin: st.builds(
        lambda ends, n, near, far, kept: DecisionBin(
            confidence_low=ends[0],
            confidence_high=ends[-1],
            n=n,
            edge_right_share=near,
            cloud_right_share=far,
            kept=kept,
        ),
        INTERVALS,
        COUNTS,
        SHARES_TO_ONE,
        st.none() | SHARES_TO_ONE,
        st.booleans(),
    ),
    RelaxationPrices: st.builds(
        RelaxationPrices, **{one.name: POINTS for one in dataclasses.fields(RelaxationPrices)}
    ),
}
"""Records whose fields belong together."""


@functools.cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    if kind in LEAVES:
        return LEAVES[kind]
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if a is type(None) else values_of(a) for a in arguments))
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin is Mapping:
        return st.dictionaries(NAMES, values_of(arguments[1]), max_size=3)
    return st.sampled_from(kind) if issubclass(kind, enum.Enum) else records_of(kind)


@functools.cache
def records_of(kind: Any) -> st.SearchStrategy[Any]:
    if kind in WHOLE:
        return WHOLE[kind]
    given_fields = {name: values_of(hint) for name, hint in typing.get_type_hints(kind).items()}
    if kind is Certificate:
        given_fields |= {"alpha": SHARES, "delta": SHARES}
        given_fields["disagreement_limit"] = st.none() | SHARES
        promise = {
            "state": st.just(CertificateState.CERTIFIED),
            "alpha": st.just(0.05),
            "bound": st.floats(0.0, 0.05),
            "threshold": LEAVES[float],
            "n": st.integers(1, 2**53),
        }
        given_fields["state"] = st.sampled_from(CertificateState).filter(
            lambda state: state is not CertificateState.CERTIFIED
        )
        return st.builds(kind, **given_fields) | st.builds(kind, **given_fields | promise)
    if kind is Distribution:
        return distributions()
    if kind is ConfidenceMap:
        return maps(given_fields)
    if kind is LearnedScore:
        return learned_scores()
    if kind is PreRouterWeights:
        sizes = {"word_bits": st.integers(8, 24), "depth": st.integers(1, 8)}
        given_fields |= sizes | {"reader": st.just(READER), "embedding_width": st.integers(0, 9)}
    if kind is Policy:
        tiers = st.lists(records_of(TierPolicy), min_size=1, max_size=2, unique_by=_name)
        given_fields["tiers"] = tiers.map(tuple)
    return st.builds(kind, **given_fields | CHECKED.get(kind, {}))


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    low, mode, high = sorted(draw(st.lists(st.floats(0.001, 1e9), min_size=3, max_size=3)))
    shape = draw(st.sampled_from(Shape))
    peak = mode if shape is Shape.TRIANGULAR else None
    return Distribution(shape=shape, low=low, high=high, mode=peak)


@st.composite
def learned_scores(draw: st.DrawFn) -> LearnedScore:
    knots = draw(st.lists(LEAVES[float], max_size=2))
    labels = draw(st.integers(1, 3))
    weights = st.tuples(*[LEAVES[float]] * (len(knots) + 2))
    rows = st.lists(weights, min_size=labels, max_size=labels).map(tuple)
    return LearnedScore(knots=tuple(knots), edge=draw(rows), cloud=draw(st.just(()) | rows))


@st.composite
def maps(draw: st.DrawFn, fields: Mapping[str, st.SearchStrategy[Any]]) -> ConfidenceMap:
    """A map whose parts fit each other: a table of its kind, and weights where it is learned."""
    kind = draw(fields["kind"])
    score = Score.TOP if kind is CalibrationKind.TEMPERATURE else draw(fields["score"])
    inputs = draw(st.lists(LEAVES[float], min_size=1, max_size=3))
    steps = 2 * len(inputs) + 1 if kind is CalibrationKind.VENN_ABERS else len(inputs)
    outputs = draw(st.lists(LEAVES[float], min_size=steps, max_size=steps))
    return ConfidenceMap(
        kind=kind,
        score=score,
        temperature=draw(TIMES_S),
        slope=draw(fields["slope"]),
        intercept=draw(fields["intercept"]),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        learned=draw(learned_scores()) if score is Score.LEARNED else None,
        reliability=draw(fields["reliability"]),
    )


def _name(tier: TierPolicy) -> str:
    return tier.name


def holds_a_path(kind: Any) -> bool:
    if kind is Path:
        return True
    inner = typing.get_type_hints(kind).values() if dataclasses.is_dataclass(kind) else ()
    return any(holds_a_path(one) for one in (*inner, *typing.get_args(kind)))


ALL = [
    kind
    for name in records.__all__
    if dataclasses.is_dataclass(kind := getattr(records, name)) and not holds_a_path(kind)
]


def test_every_record_but_those_with_paths_is_tried() -> None:
    names = {kind.__name__ for kind in ALL if isinstance(kind, type)}

    assert names >= {"BundleManifest", "Certificate", "Decision", "Plan", "Policy", "Profile"}
    assert not names & {"ProjectSpec", "ModelSpec", "DataSpec"}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_what_is_written_is_what_is_read(kind: Any, data: st.DataObject) -> None:
    record = data.draw(records_of(kind))

    body = json.loads(json.dumps(encode(record), allow_nan=False))

    assert next(iter(body)) == "schema_version"
    assert decode(kind, body) == record
    assert digest(decode(kind, body)) == digest(record)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_another_type_in_any_field_is_an_invalid_record(kind: Any, data: st.DataObject) -> None:
    body = encode(data.draw(records_of(kind)))
    typed = [name for name, hint in typing.get_type_hints(kind).items() if hint is not object]
    field = data.draw(st.sampled_from(typed))

    with pytest.raises(InvalidRecord) as caught:
        decode(kind, {**body, field: data.draw(st.sampled_from([object(), b"", 1j]))})

    assert caught.value.where == f"{kind.__name__}.{field}"


@settings(max_examples=25, deadline=None)
@given(record=records_of(BundleManifest), other=records_of(BundleManifest))
def test_records_have_one_hash_if_and_only_if_they_are_equal(
    record: BundleManifest, other: BundleManifest
) -> None:
    turned = dataclasses.replace(record, files=dict(reversed(list(record.files.items()))))

    assert digest(turned) == digest(record)
    assert (digest(record) == digest(other)) == (encode(record) == encode(other))


@settings(max_examples=10, deadline=None)
@given(record=records_of(Policy))
def test_file_holds_the_record(record: Policy, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("law") / "policy.json"

    write_json(path, record)

    assert read_json(Policy, path) == record


@settings(max_examples=60, deadline=None)
@given(before=records_of(Policy), other=records_of(Policy), data=st.data())
def test_any_field_that_differs_is_a_change_in_words(
    before: Policy, other: Policy, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([field.name for field in dataclasses.fields(Policy)]))
    after = dataclasses.replace(before, **{name: getattr(other, name)})

    there, back = compare_policies(before, after), compare_policies(after, before)

    assert bool(there.changes) is bool(back.changes) is (before != after)
    assert all(one.meaning and one.path.startswith(name) for one in there.changes)
    order = list(Effect)
    places = [order.index(one.effect) for one in there.changes]
    assert places == sorted(places)
