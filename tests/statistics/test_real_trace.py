"""A real trace against another replay of it, written down to the loop, and against the formula."""

import heapq
import os
from pathlib import Path

import numpy as np
import pytest

from edgewise.records import Policy, ServiceFormula, TierKind, TierPolicy
from edgewise.simulate import TraceReader, scenario_of, simulate

ROOT = Path(__file__).parents[2]
SERVICE = ServiceFormula(base_ms=200.0, per_input_token_ms=0.1, per_output_token_ms=20.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "servers"), [("azure_llm_2023_code", 4), ("azure_llm_2023_conv", 32)]
)
def test_waits_are_those_of_a_loop_over_the_trace(name: str, servers: int) -> None:
    data = Path(os.environ.get("EDGEWISE_DATA", ROOT.parent / "shared" / "data"))
    path = data / "planning" / "requests" / f"{name}_first40min.csv"
    if not path.is_file():
        pytest.fail(f"there is no {path}\n\nhint: set EDGEWISE_DATA to the folder that holds it")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    free, waits = [0.0] * servers, []
    for at_s, tokens_in, tokens_out in table.tolist():
        begin_s = max(at_s, free[0])
        heapq.heapreplace(free, begin_s + (200.0 + 0.1 * tokens_in + 20.0 * tokens_out) / 1000)
        waits.append(begin_s - at_s)

    tier = TierPolicy(name="cloud", kind=TierKind.CLOUD, servers=servers, service=SERVICE)
    scenario = scenario_of(Policy(task="", labels=(), tiers=(tier,)))
    found = simulate(scenario, TraceReader(path))

    queue = found.queue["cloud"]
    assert queue.mean_wait_ms == pytest.approx(1000 * float(np.mean(waits)))
    assert queue.p95_wait_ms == pytest.approx(1000 * float(np.quantile(waits, 0.95)))
    assert queue.share_waiting == pytest.approx(float(np.mean(np.array(waits) > 0)), abs=1e-3)
    if servers == 4:
        assert queue.mean_wait_ms == pytest.approx(37_584, abs=1)
        assert queue.formula_wait_ms == pytest.approx(480, abs=1)
        assert found.arrivals is not None
        assert found.arrivals.gap_cv2 == pytest.approx(158, abs=1)
