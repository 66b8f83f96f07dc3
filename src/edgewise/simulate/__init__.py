"""Replays traces through the decision that live traffic gets.

A `Scenario` (a policy, what its tiers and network are like, a seed) and a trace go in, a
`Simulation` comes out. Where no decision hangs on a queue's state, blocks of requests move from
tier to tier (`flow.py`); else one event follows the other (`events.py`). Read `replay.py` first.
"""

from edgewise.simulate.answers import AnswerTable, read_answers, table_of
from edgewise.simulate.composing import (
    SimulateOrder,
    TraceFits,
    fit_trace,
    read_policy,
    simulate_files,
)
from edgewise.simulate.fitting import Fit, Fits, fit_arrivals, fit_times
from edgewise.simulate.log_replay import replay_files, replay_log
from edgewise.simulate.network import Network, read_network
from edgewise.simulate.option_replay import replay_options
from edgewise.simulate.replay import simulate
from edgewise.simulate.scenario import Drift, Outage, Scenario, has_feedback, scenario_of
from edgewise.simulate.trace import TraceBlock, TraceReader

__all__ = [
    "AnswerTable",
    "Drift",
    "Fit",
    "Fits",
    "Network",
    "Outage",
    "Scenario",
    "SimulateOrder",
    "TraceBlock",
    "TraceFits",
    "TraceReader",
    "fit_arrivals",
    "fit_times",
    "fit_trace",
    "has_feedback",
    "read_answers",
    "read_network",
    "read_policy",
    "replay_files",
    "replay_log",
    "replay_options",
    "scenario_of",
    "simulate",
    "simulate_files",
    "table_of",
]
