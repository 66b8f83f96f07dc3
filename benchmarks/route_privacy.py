"""How well personal data is found, and that none of it reaches a tier that may not see it.

Texts with a known kind of personal data, and near misses of every kind, are drawn with a seed that
nothing was developed on. Recall is of texts that hold a kind; precision is of all alarms of a kind
on texts that hold it or hold none (a near miss that is by its form as well one of a kind counts
neither way; an alarm of another kind on a text that holds personal data does no harm).

Then a million requests go through the decision under drawn policies, states and faults. Claim:
`privacy_leaks`, private payloads at a tier that may not see them, 0. `privacy_recall_least` and
`privacy_precision_least`, of the worst kind, at least 0.98 and 0.9.

    .venv/bin/python -m benchmarks.route_privacy [--requests 1000000]
"""

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from benchmarks.results import claim, write

from edgewise.route.privacy import KINDS, detect
from edgewise.testing.leaks import count_leaks
from edgewise.testing.privacy import labelled_texts, rates_of

SEED, EACH = 77_031, 500
REQUESTS, WORKERS = 1_000_000, 2
CLEAN = "the film was longer than the book, and the book was longer than the war it tells of. " * 2


def detection_us(times: int = 5_000) -> float:
    """Give the p50 in microseconds of a clean text of 170 characters, all kinds asked for."""
    taken_ns = []
    for _ in range(times):
        start_ns = time.perf_counter_ns()
        detect(CLEAN, KINDS)
        taken_ns.append(time.perf_counter_ns() - start_ns)
    return statistics.median(taken_ns) / 1000


def play(seed: int, requests: int) -> tuple[int, int, int, int, str]:
    """Play requests in one process."""
    played = count_leaks(np.random.default_rng([SEED, seed]), requests)
    return played.leaks, played.private, played.asked, len(played.paths), played.first_leak


def main(requests: int = REQUESTS) -> None:
    """Measure, print and keep."""
    rates = rates_of(detect, KINDS, labelled_texts(np.random.default_rng(SEED), EACH))
    print(f"{'kind':<20}{'precision':>10}{'recall':>8}")
    for kind, (precision, recall) in rates.items():
        print(f"{kind:<20}{precision:>10.3f}{recall:>8.3f}")
    with ProcessPoolExecutor(WORKERS) as pool:
        shares = [requests // WORKERS] * WORKERS
        parts = list(pool.map(play, range(WORKERS), shares))
    leaks, private, asked, paths = (sum(part[at] for part in parts) for at in range(4))
    print(f"{requests} requests, {private} private, {asked} calls, {paths} paths: {leaks} leaks")
    print(*(part[4] for part in parts if part[4]))
    by_kind = {f"{kind}_precision": round(p, 3) for kind, (p, _) in rates.items()}
    recalls = {f"{kind}_recall": round(r, 3) for kind, (_, r) in rates.items()}
    least = min(p for p, _ in rates.values())
    write(
        "route",
        [
            claim(
                "privacy_leaks",
                leaks,
                0,
                runs=1,
                peers={"requests": requests, "private": private, "calls": asked, "paths": paths},
            ),
            claim(
                "privacy_recall_least",
                round(min(r for _, r in rates.values()), 3),
                0.98,
                runs=1,
                better="higher",
                peers=recalls,
            ),
            claim(
                "privacy_precision_least",
                round(least, 3),
                0.9,
                runs=1,
                better="higher",
                peers=by_kind,
            ),
            claim("privacy_detection_p50_us", round(detection_us(), 1), 20.0, runs=1),
        ],
        keep=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=REQUESTS)
    main(parser.parse_args().requests)
