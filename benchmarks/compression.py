"""The common claim "80 to 95 % smaller with less than 5 % lost" on two text tasks and an image one.

A model is trained on each task as the float source, edgewise's training and passes make smaller
ones of it, and the smallest that loses at most 3 points on rows held out of the train split is
chosen. Only then are the test rows read. Claims, a pair a task: `compression_TASK_smaller` at least
0.80 of the source bundle's bytes, `compression_TASK_lost` at most 0.05 of the test rows; and of
sentiment, beside the other claims of `optimize`: `sst2_size_share` at most 0.10,
`sst2_accuracy_lost` at most 0.05, `sst2_speedup` at least 4 (in turn, batch 1, one thread, natural
length).

    make bench-compression

The sentences are in the folder that EDGEWISE_DATA names, else in `../shared/data`. Training goes on
from the work folder (`runs/compression`) where it was interrupted, or was done before. All tasks
together write the table of `docs/optimize.md`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.compressing.images import ImageCase
from benchmarks.compressing.measuring import ROUNDS, Figures, Outcome, choose, examine
from benchmarks.compressing.text import TextCase
from benchmarks.optimize import EXAMPLE
from benchmarks.results import ROOT, claim, write

TASKS = {
    "sst2": "SST-2, 2 sentiments",
    "banking77": "banking77, 77 intents",
    "images": "Fashion-MNIST, 10 garments",
}
PAGE = ROOT / "docs/optimize.md"
MARKS = ("<!-- written by make bench-compression -->", "<!-- end of make bench-compression -->")


def open_case(name: str, work: Path) -> TextCase | ImageCase:
    if name == "images":
        return ImageCase(work / name)
    data = Path(os.environ.get("EDGEWISE_DATA", ROOT.parent / "shared/data")) / "text"
    if not data.is_dir():
        raise SystemExit(f"no sentences in {data}: set EDGEWISE_DATA")
    return TextCase(name, data, work / name)


def claims_of(name: str, found: Outcome) -> list[dict[str, object]]:
    """Give the pair of claims of a task."""
    smaller = 1 - found.chosen.size_bytes / found.source.size_bytes
    sizes = {"source_bytes": found.source.size_bytes, "bytes": found.chosen.size_bytes}
    return [
        claim(
            f"compression_{name}_smaller",
            round(smaller, 4),
            0.80,
            runs=1,
            better="higher",
            peers=sizes,
        ),
        claim(
            f"compression_{name}_lost", round(found.lost, 4), 0.05, runs=1, peers=accuracies(found)
        ),
    ]


def accuracies(found: Outcome) -> dict[str, float]:
    return {
        "source_accuracy": round(found.source.accuracy, 4),
        "accuracy": round(found.chosen.accuracy, 4),
        "lost_low": round(found.lost_low, 4),
        "lost_high": round(found.lost_high, 4),
    }


def sentiment_claims(found: Outcome) -> list[dict[str, object]]:
    """Give the claims of sentiment that stand beside the others of `optimize`."""
    share = found.chosen.size_bytes / found.source.size_bytes
    times = {
        "source_p50_ms": round(found.source.p50_ms, 3),
        "p50_ms": round(found.chosen.p50_ms, 3),
        "low": round(found.speedup_low, 2),
        "high": round(found.speedup_high, 2),
    }
    return [
        claim("sst2_size_share", round(share, 4), 0.10, runs=1),
        claim("sst2_accuracy_lost", round(found.lost, 4), 0.05, runs=1, peers=accuracies(found)),
        claim(
            "sst2_speedup",
            round(found.speedup, 2),
            4.0,
            runs=ROUNDS,
            better="higher",
            peers=times,
        ),
    ]


def table(found: Mapping[str, Outcome]) -> str:
    """Give the table of all tasks, two rows each."""
    lines = [
        "| task | bundle | bytes | accuracy (95 % interval) | p50 ms | peak memory MB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, one in found.items():
        smaller = 1 - one.chosen.size_bytes / one.source.size_bytes
        lost = (
            f"{100 * one.lost:.1f} points ({100 * one.lost_low:.1f} to {100 * one.lost_high:.1f})"
        )
        lines += [
            f"| {TASKS[name]} | float | {_cells(one.source)} |",
            f"| | {', '.join(one.chosen.recipe)} | {_cells(one.chosen)} |",
            f"| | **{100 * smaller:.1f} % smaller, {lost} lost, {one.speedup:.1f} times as fast** "
            "| | | | |",
        ]
    return "\n".join(lines)


def _cells(one: Figures) -> str:
    accuracy = (
        f"{100 * one.accuracy:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f}, n {one.n:,})"
    )
    peak_mb = one.peak_memory_bytes / 1e6
    return f"{one.size_bytes:,} | {accuracy} | {one.p50_ms:.2f} | {peak_mb:.0f}"


def write_page(text: str) -> None:
    """Put the table into `docs/optimize.md`, between its two marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--work", type=Path, default=ROOT / "runs/compression")
    parser.add_argument("--until-chosen", action="store_true", help="leave the test rows unread")
    given = parser.parse_args()
    subprocess.run([sys.executable, str(EXAMPLE / "prepare.py")], check=True)
    found = {}
    for name in given.only:
        print(TASKS[name], flush=True)
        made = open_case(name, given.work).make()
        chosen = choose(made)
        print(f"chosen: {chosen.name}", flush=True)
        if not given.until_chosen:
            found[name] = examine(made, chosen)
            print(table({name: found[name]}), flush=True)
    if not found:
        return
    write("compression", [one for name in found for one in claims_of(name, found[name])], keep=True)
    if "sst2" in found:
        write("optimize", sentiment_claims(found["sst2"]), keep=True)
    if set(found) == set(TASKS):
        write_page(table(found))


if __name__ == "__main__":
    main()
