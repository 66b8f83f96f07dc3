"""A trace goes through a policy, by the way that fits: blocks where nothing feeds back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from time import perf_counter

from edgewise.records import Simulation
from edgewise.simulate.events import Events
from edgewise.simulate.flow import Flow
from edgewise.simulate.report import curve_of, report_of
from edgewise.simulate.scenario import Scenario, has_feedback
from edgewise.simulate.tally import Tally
from edgewise.simulate.trace import TraceBlock


def simulate(
    scenario: Scenario,
    trace: Iterable[TraceBlock],
    *,
    what_if: tuple[str, ...] = (),
    shares: Sequence[float] = (),
) -> Simulation:
    """Replay a trace.

    Parameters
    ----------
    trace
        Blocks in order of time; a `TraceReader`, or blocks of one's own.
    what_if
        What was changed in the scenario, for the record.
    shares
        Of the answers, whose latency `latency_curve` has.

    Raises
    ------
    InvalidData
        When the trace holds what can't be.
    """
    start_s = perf_counter()
    names = tuple(tier.name for tier in scenario.policy.tiers)
    by_events = has_feedback(scenario)
    blocks = _paced(trace, scenario.rate)
    begun = next(blocks, None)
    if begun is not None and scenario.network is not None:
        scenario = replace(scenario, network=scenario.network.laid(float(begun.t_s[0])))
    with Tally(names) as tally:
        replay = Events(scenario, tally) if by_events else Flow(scenario, tally)
        for block in () if begun is None else chain((begun,), blocks):
            replay.add(block)
        replay.finish()
        method = "events" if by_events else "flow"
        wall_s = perf_counter() - start_s
        found = report_of(scenario, tally, wall_s=wall_s, method=method, what_if=what_if)
        return replace(found, latency_curve=curve_of(tally, shares)) if shares else found


def _paced(trace: Iterable[TraceBlock], rate: float) -> Iterator[TraceBlock]:
    """Give requests as many times as fast, from the first one on: it comes when it came."""
    first_s = None
    for block in trace:
        if first_s is None:
            first_s = float(block.t_s[0])
        yield block if rate == 1.0 else replace(block, t_s=first_s + (block.t_s - first_s) / rate)
