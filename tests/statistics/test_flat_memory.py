"""Memory stays flat with the trace's length."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import sys
from pathlib import Path
from edgewise.records import Policy, ServiceFormula, TierKind, TierPolicy
from edgewise.simulate import TraceReader, scenario_of, simulate
edge = TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.5)
cloud = TierPolicy(name="cloud", kind=TierKind.CLOUD, servers=8, rtt_p50_ms=60, rtt_p95_ms=180,
                   service=ServiceFormula(base_ms=20))
policy = Policy(task="", labels=(), tiers=(edge, cloud))
simulate(scenario_of(policy), TraceReader(Path(sys.argv[1])))
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
print(int(status.split()[0]) // 1024)
"""


def peak_mib(path: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.slow
def test_three_times_as_many_requests_take_no_more_memory(tmp_path: Path) -> None:
    gaps = np.random.default_rng(1).exponential(0.005, 6_000_000)
    at_s = np.cumsum(gaps)
    paths = [tmp_path / "short.csv", tmp_path / "long.csv"]
    for path, n in zip(paths, (2_000_000, 6_000_000), strict=True):
        with path.open("w", encoding="ascii") as file:
            file.write("t_s,input_tokens,output_tokens\n")
            file.writelines(f"{moment:.6f},100,10\n" for moment in at_s[:n].tolist())

    short, long = (peak_mib(path) for path in paths)

    assert long < short + 16
