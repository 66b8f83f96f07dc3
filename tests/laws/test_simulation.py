"""Laws of the simulation: both ways to replay agree, seeds are exact, shares sum to one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.records import (
    LatencyLimit,
    Policy,
    ServiceFormula,
    Simulation,
    TierKind,
    TierPolicy,
    encode,
)
from edgewise.simulate import AnswerTable, Network, Scenario, TraceBlock, has_feedback, simulate
from edgewise.simulate.events import Events
from edgewise.simulate.flow import Flow
from edgewise.simulate.report import report_of
from edgewise.simulate.tally import Tally

MOMENTS = st.integers(0, 40).map(lambda k: k / 64)
SHARES = st.floats(0.0, 1.0)


def blocks_of(block: TraceBlock, cuts: list[int]) -> list[TraceBlock]:
    """Cut a trace."""
    n = len(block.t_s)
    edges = [0, *sorted(min(cut, n) for cut in cuts), n]
    return [
        TraceBlock(
            first=low,
            t_s=block.t_s[low:high],
            input_tokens=block.input_tokens[low:high],
            output_tokens=block.output_tokens[low:high],
            private=None if block.private is None else block.private[low:high],
            devices=None if block.devices is None else block.devices[low:high],
            lines=range(low, high),
        )
        for low, high in pairwise(edges)
        if high > low
    ]


@st.composite
def traces(draw: st.DrawFn) -> TraceBlock:
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    gaps = rng.integers(0, 8, n) / 64
    return TraceBlock(
        first=0,
        t_s=np.cumsum(gaps),
        input_tokens=rng.integers(0, 400, n).astype(float),
        output_tokens=rng.integers(0, 50, n).astype(float),
        private=rng.random(n) < 0.2 if draw(st.booleans()) else None,
        devices=tuple(f"d{k}" for k in rng.integers(0, 3, n)) if draw(st.booleans()) else None,
        lines=range(n),
    )


@st.composite
def tiers(draw: st.DrawFn, name: str, kind: TierKind) -> TierPolicy:
    near = kind is TierKind.DEVICE
    formula = st.builds(
        ServiceFormula,
        base_ms=st.integers(0, 9).map(lambda k: k * 15.625),
        per_output_token_ms=st.sampled_from([0.0, 15.625]),
    )
    latency = tuple(
        LatencyLimit(
            up_to_length=n, p50_ms=5.0 + n / 10, p95_ms=draw(st.sampled_from([50.0, 90.0]))
        )
        for n in draw(st.sampled_from([(), (100,), (100, 300)]))
    )
    return TierPolicy(
        name=name,
        kind=kind,
        threshold=draw(st.none() | SHARES),
        latency=latency,
        latency_limit_ms=draw(st.none() | st.just(60.0)) if near else None,
        rtt_p50_ms=0.0 if near else draw(st.sampled_from([0.0, 31.25, 60.0])),
        rtt_p95_ms=0.0 if near else draw(st.sampled_from([60.0, 180.0])),
        usd_per_request=0.0 if near else 0.002,
        max_input_bytes=draw(st.sampled_from([800, 1_000_000])),
        service=draw(st.none() | formula),
        servers=draw(st.none() | st.integers(1, 3)),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    kinds = sorted(
        draw(st.lists(st.sampled_from(TierKind), min_size=1, max_size=3)),
        key=list(TierKind).index,
    )
    policy = Policy(
        task="t",
        labels=(),
        tiers=tuple(draw(tiers(f"tier{place}", kind)) for place, kind in enumerate(kinds)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    known = draw(st.booleans())
    table = AnswerTable(
        confidence=rng.random(20),
        near_correct=rng.integers(0, 2, 20).astype(float) if known else None,
        far_correct=rng.integers(0, 2, 20).astype(float) if known else None,
    )
    networks = [
        None,
        Network(at_s=None, rtt_ms=np.array([10.0, 20.0, 300.0])),
        Network(
            at_s=np.array([0.0, 0.25, 0.5]),
            rtt_ms=np.array([10.0, 20.0, 300.0]),
            up_bits=np.array([1e5, 0.0, 1e6]),
            down_bits=np.array([1e4, 1e5, 0.0]),
        ),
    ]
    return Scenario(
        policy=policy,
        answers=table,
        network=draw(st.sampled_from(networks)),
        seed=draw(st.integers(0, 5)),
        rate=draw(st.sampled_from([1.0, 2.0])),
    )


def seen(
    scenario: Scenario, blocks: list[TraceBlock], way: type[Flow] | type[Events]
) -> Simulation:
    names = tuple(tier.name for tier in scenario.policy.tiers)
    with Tally(names) as tally:
        replay = way(scenario, tally)
        for block in blocks:
            replay.add(block)
        replay.finish()
        return report_of(scenario, tally, wall_s=0.0, method="")


def close(one: object, other: object) -> None:
    """Compare two reports; sums may differ in their last digits by the order of adding."""
    if isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key, value in one.items():
            close(value, other[key])
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
    else:
        assert one == other


@settings(max_examples=60, deadline=None)
@given(scenario=scenarios(), block=traces())
def test_blocks_and_events_tell_the_same_where_nothing_feeds_back(
    scenario: Scenario, block: TraceBlock
) -> None:
    if has_feedback(scenario):
        return

    flow = seen(scenario, [block], Flow)
    events = seen(scenario, [block], Events)

    close(encode(flow), encode(events))


@settings(max_examples=40, deadline=None)
@given(scenario=scenarios(), block=traces(), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_where_a_trace_is_cut_does_not_matter(
    scenario: Scenario, block: TraceBlock, cuts: list[int]
) -> None:
    whole = seen(scenario, [block], Flow)
    cut = seen(scenario, blocks_of(block, cuts), Flow)

    close(encode(cut), encode(whole))


@settings(max_examples=30, deadline=None)
@given(scenario=scenarios(), block=traces(), deadline_ms=st.none() | st.floats(1.0, 500.0))
def test_the_same_seed_gives_the_same_bytes_and_shares_sum_to_one(
    scenario: Scenario, block: TraceBlock, deadline_ms: float | None
) -> None:
    policy = replace(scenario.policy, deadline_ms=deadline_ms)
    scenario = replace(scenario, policy=policy)

    one, other = simulate(scenario, [block]), simulate(scenario, [block])

    assert encode(replace(one, wall_s=0.0)) == encode(replace(other, wall_s=0.0))
    assert sum(one.share.values()) == pytest.approx(1.0)
    assert one.method == ("flow" if deadline_ms is None else "events")
    assert 0.0 <= one.deadline_miss_rate <= 1.0
    assert one.requests == len(block.t_s)


@settings(max_examples=30, deadline=None)
@given(scenario=scenarios(), block=traces(), factor=st.floats(1.0, 10.0))
def test_cost_is_monotone_in_price(scenario: Scenario, block: TraceBlock, factor: float) -> None:
    dearer = replace(
        scenario.policy,
        tiers=tuple(
            replace(tier, usd_per_request=tier.usd_per_request * factor)
            for tier in scenario.policy.tiers
        ),
    )

    before = simulate(scenario, [block])
    after = simulate(replace(scenario, policy=dearer), [block])

    assert after.cost_usd == pytest.approx(before.cost_usd * factor)
    assert after.cost_usd >= before.cost_usd
