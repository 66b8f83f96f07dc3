"""What a gateway holds after 100,000 requests and after 1,000,000, through the full decision.

Claim: `gateway_rss_growth_ratio` at most 1.05, the second over the first, with policy, metrics,
decision log and dashboard on. Beside it stands what is anonymous of it: the rest are pages of
libraries, which the system takes back and brings in as it likes. `--requests` asks fewer, for a
look. Load comes from another process.

    .venv/bin/python -m benchmarks.gateway_memory
"""

import argparse
import tempfile
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gateway import far_policy, free_port, gateway, load, upstream
from benchmarks.results import claim, write

CONNECTIONS = 16
CHUNK_S = 10.0
STEPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process holds after a number of requests."""

    requests: int
    rss_bytes: int
    anonymous_bytes: int


def held(pid: int, requests: int) -> Held:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = dict(line.split(":", 1) for line in status.splitlines())
    sizes = [int(found[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon")]
    return Held(requests=requests, rss_bytes=sizes[0], anonymous_bytes=sizes[1])


def decided(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    lines = [line for line in text.splitlines() if line.startswith("edgewise_decisions_total{")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))


def measure(folder: Path, requests: int) -> list[Held]:
    """Give what is held, each time another tenth of the requests was decided."""
    far, near = free_port(), free_port()
    policy = far_policy(folder, far)
    found: list[Held] = []
    with upstream(far), gateway(policy, near, "--log", str(folder / "d.db")) as served:
        while len(found) < STEPS:
            load(near, seconds=CHUNK_S, connections=CONNECTIONS)
            number = decided(near)
            if number >= (len(found) + 1) * requests / STEPS:
                found.append(held(served.pid, number))
                print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        found = measure(Path(parent), given.requests)
    ratio = found[-1].rss_bytes / found[0].rss_bytes
    if given.requests < 1_000_000:
        print(f"{ratio:.3f} of what was held after {found[0].requests} requests")
        return
    told = claim("gateway_rss_growth_ratio", round(ratio, 4), 1.05, runs=1)
    write("gateway", [{**told, "held": [asdict(one) for one in found]}], keep=True)


if __name__ == "__main__":
    main()
