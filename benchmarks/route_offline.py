"""Whether the offline queue loses or doubles anything when its process is killed.

A process sends ten thousand waiting requests to a server that counts by idempotency key, puts more
and collects answers, and is killed at 200 random moments over the time that the whole takes; a
second process does the rest. Claims: `requests_lost` and `requests_answered_twice`, both 0. Beside
them, how many requests a second are stored and answered by one that lives.

    .venv/bin/python -m benchmarks.route_offline [--points 200] [--requests 10000]
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from benchmarks.results import claim, write

from edgewise.testing.crashes import crash_often, crash_once, prepare

SEED = 20_261


def main(points: int = 200, requests: int = 10_000) -> None:
    """Measure, print and keep."""
    with tempfile.TemporaryDirectory(prefix="edgewise-") as name:
        folder = Path(name)
        started_s = time.perf_counter()
        prepare(folder / "timed", requests)
        stored_per_s = requests / (time.perf_counter() - started_s)
        (folder / "alive").mkdir()
        started_s = time.perf_counter()
        crash_once(folder / "alive", folder / "timed", requests, None)
        answered_per_s = requests / (time.perf_counter() - started_s)
        counts = list(crash_often(folder, requests, points, random.Random(SEED)))
    within = sum(0 < one.left < requests for one in counts)
    peers = {
        "points": float(points),
        "requests": float(requests),
        "kills_within_the_work": float(within),
        "sent_again": float(sum(one.sent_again for one in counts)),
        "stored_per_s": round(stored_per_s),
        "answered_per_s": round(answered_per_s),
    }
    lost, twice = (sum(one.lost for one in counts), sum(one.twice for one in counts))
    write(
        "route",
        [
            claim("requests_lost", lost, 0, runs=points, peers=peers),
            claim("requests_answered_twice", twice, 0, runs=points, peers=peers),
        ],
        keep=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--requests", type=int, default=10_000)
    given = parser.parse_args()
    main(given.points, given.requests)
