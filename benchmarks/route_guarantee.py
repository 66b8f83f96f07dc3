"""What a certificate keeps and what it costs, on real tables, over 1,000 draws each.

Each table is taken as the population: n rows are drawn from it with replacement, a threshold is
chosen on them, and its true loss is that on the whole table. Beside it the naive threshold, the
lowest that looks good on the draw, and the best fixed one, the lowest that is good in truth.
MMLU and LLMRouter have no confidence: the score there is the prompt's length, shorter is surer.

Claims: `guarantee_violation_rate_worst`, the highest share of draws whose threshold loses more
than α, at most δ = 5% and 2.33 standard errors of 1,000 draws; `guarantee_deferral_mean` over all
tables, with the naive and the best fixed threshold; `guarantee_signed_over_best_worst`, how much
more than the best fixed threshold the net loss's certificate defers on its worst table, at most
0.08. And `score_apgr_gain_least`: how much more than the top probability a learned score gains,
on rows (and speakers) that it was not fitted on, on the table where that is least.

    .venv/bin/python -m benchmarks.route_guarantee
"""

import csv
import gzip
import math
import os
from pathlib import Path
from statistics import NormalDist

import numpy as np
from benchmarks.results import ROOT, claim, write

from edgewise.calibrate import fit_score, learned_scores, score_rows
from edgewise.testing.populations import Population, Tally, tally

ALPHA, DELTA, N, DRAWS, SEED, FOLDS = 0.02, 0.05, 2000, 1000, 11, 5
CLOUDS = {
    "ferplus": ("google", "facepp", "microsoft"),
    "command": ("google", "microsoft", "ibm"),
    "yelp": ("google", "baidu", "amazon"),
}
PAIRED = {
    "mmlu": ("weak_correct", "strong_correct"),
    "llmrouter_9models": ("codegemma-7b_score", "llama-3.1-nemotron-51b-instruct_score"),
}
SCORED = {"ferplus": "microsoft", "command": "microsoft", "yelp": "google"}
"""Of each table the cloud that is the most accurate."""


def read_rows(name: str) -> list[dict[str, str]]:
    """Read a table from `$EDGEWISE_DATA`, by default `../shared/data`."""
    data = Path(os.environ.get("EDGEWISE_DATA", ROOT.parent / "shared" / "data"))
    with gzip.open(
        data / "routing" / f"{name}_dev.csv.gz", "rt", encoding="utf-8", newline=""
    ) as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def populations() -> dict[tuple[str, str, str], Population]:
    """Give each table with each cloud and each loss."""
    found = {}
    for table, clouds in CLOUDS.items():
        rows = read_rows(f"frugalml_{table}")
        for cloud in clouds:
            arrays = [column(rows, n) for n in ("edge_conf", "edge_correct", f"{cloud}_correct")]
            for loss in ("net", "regret"):
                found[table, cloud, loss] = Population(*arrays, loss)
    for table, (near, far) in PAIRED.items():
        rows = read_rows(table)
        score = -np.array([float(len(row["prompt"])) for row in rows])
        for loss in ("net", "regret"):
            arrays = [score, column(rows, near), column(rows, far)]
            found[table, "strong", loss] = Population(*arrays, loss)
    return found


def apgr(score: np.ndarray, edge: np.ndarray, cloud: np.ndarray) -> float:
    """Give the area under the share of the gap recovered, high scores sent first, ties mixed."""
    _, place = np.unique(-score, return_inverse=True)
    gain = cloud - edge
    mean = np.bincount(place, gain) / np.bincount(place)
    ranked = mean[np.sort(place)]
    curve = np.concatenate([[0.0], np.cumsum(ranked)]) / gain.sum()
    return float(((curve[1:] + curve[:-1]) / 2.0).mean())


def bench_scores() -> dict[str, tuple[float, float, float]]:
    """Give the APGR of the top probability, of the edge's chance and of the learned score."""
    found = {}
    for table, name in SCORED.items():
        rows = read_rows(f"frugalml_{table}")
        top, edge = column(rows, "edge_conf"), column(rows, "edge_correct")
        cloud = column(rows, f"{name}_correct")
        label = np.unique(column(rows, "edge_pred"), return_inverse=True)[1]
        # COMMAND's file names begin with the speaker's id.
        owner = [
            row["query_id"].split("_")[1] if table == "command" else row["query_id"] for row in rows
        ]
        fold = np.unique(owner, return_inverse=True)[1] % FOLDS
        chance, both = np.empty(len(rows)), np.empty(len(rows))
        for k in range(FOLDS):
            fit, held = fold != k, fold == k
            seen, unseen = score_rows(top[fit], label[fit]), score_rows(top[held], label[held])
            labels = int(label.max()) + 1
            alone = fit_score(seen, edge[fit], labels=labels)
            chance[held] = learned_scores(alone, unseen)
            paired = fit_score(seen, edge[fit], cloud[fit], labels=labels)
            both[held] = learned_scores(paired, unseen)
        found[table] = (
            apgr(-top, edge, cloud),
            apgr(-chance, edge, cloud),
            apgr(-both, edge, cloud),
        )
    return found


def normal(seen: Population, alpha: float, delta: float) -> float | None:
    """Choose by the normal approximation, which holds for no n: as tight as a test could be."""
    ranked, total = seen.walk()
    squares = Population(seen.confidence, 1.0 - seen.row_losses() ** 2, seen.cloud, "kept_error")
    n = len(seen.edge)
    variance = squares.walk()[1] / n - (total / n) ** 2
    passing = total / n + NormalDist().inv_cdf(1.0 - delta) * np.sqrt(variance / n) <= alpha
    return float(ranked[np.argmin([*passing, False]) - 1]) if passing[0] else None


def show(key: tuple[str, str, str], found: Tally) -> None:
    table, cloud, loss = key
    print(
        f"{table:18}{cloud:10}{loss:8}violations {found.rate:6.1%} (naive {found.naive_rate:5.1%})"
        f"  deferral {found.mean_deferral:6.1%} (naive {found.mean_naive_deferral:5.1%}, "
        f"best fixed {found.best_deferral:5.1%})",
        flush=True,
    )


def main() -> None:
    """Draw, print and keep."""
    tallies, ideal = {}, []
    asked = {"n": N, "alpha": ALPHA, "delta": DELTA, "seed": SEED}
    for key, population in populations().items():
        tallies[key] = tally(population, draws=DRAWS, **asked)
        show(key, tallies[key])
        if key[2] == "net" and tallies[key].binds:
            other = tally(population, draws=DRAWS // 5, choose=normal, **asked)
            ideal.append(other.mean_deferral - other.best_deferral)
    # Where no threshold loses more than α nothing can be violated, and none says little.
    binding = [found for found in tallies.values() if found.binds]
    signed = [found for key, found in tallies.items() if key[2] == "net" and found.binds]
    worst = max(found.rate for found in binding)
    allowed = DELTA + 2.33 * math.sqrt(DELTA * (1.0 - DELTA) / DRAWS)
    deferral = float(np.mean([found.mean_deferral for found in binding]))
    best = float(np.mean([found.best_deferral for found in binding]))
    naive = float(np.mean([found.mean_naive_deferral for found in binding]))
    over = [found.mean_deferral - found.best_deferral for found in signed]
    scores = bench_scores()
    for table, (top, chance, both) in scores.items():
        print(f"{table:18}APGR top {top:.4f}, learned {chance:.4f}, with the cloud's {both:.4f}")
    least = min(scores, key=lambda table: scores[table][2] - scores[table][0])
    gains = {f"{table}_gain": round(both - top, 4) for table, (top, _, both) in scores.items()}
    violations = claim(
        "guarantee_violation_rate_worst",
        round(worst, 4),
        round(allowed, 4),
        runs=DRAWS,
        peers={
            "naive_least": round(min(found.naive_rate for found in binding), 4),
            "naive_worst": round(max(found.naive_rate for found in binding), 4),
        },
    )
    deferrals = claim(
        "guarantee_deferral_mean",
        round(deferral, 4),
        round(best + 0.08, 4),
        runs=DRAWS,
        peers={"naive": round(naive, 4), "best_fixed": round(best, 4)},
    )
    gap = claim(
        "guarantee_signed_over_best_worst",
        round(max(over), 4),
        0.08,
        runs=DRAWS,
        peers={
            "mean_of_tables": round(float(np.mean(over)), 4),
            "normal_approximation": round(max(ideal), 4),
        },
    )
    learned = claim(
        "score_apgr_gain_least",
        round(scores[least][2] - scores[least][0], 4),
        0.0,
        runs=1,
        better="higher",
        peers=gains,
    )
    write("route", [violations, deferrals, gap, learned], keep=True)


if __name__ == "__main__":
    main()
