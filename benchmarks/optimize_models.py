"""What the optimizer makes of five models, against PyTorch and against what four toolkits make.

Of each model's candidates, which run in turns, the one of the least processor time (which other
work disturbs less) that stays faithful (cosine at least 0.99 on held-out inputs) is chosen. Then it
and its peers run in turns anew, and the claims come from that second race alone: ratios of medians
over rounds by the clock, batch 1, one thread, in one process; the processor's time stands beside
it. Each model has a process.

    OMP_NUM_THREADS=1 python -m benchmarks.optimize_models [--only minilm resnet18 …] [--rounds 40]

Writes the claims, and with all models the table of `docs/optimize.md`. Needs what `make
test-heavy` needs.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.peers import Inputs, Run
from benchmarks.results import ROOT, claim, write

MODELS = ("minilm", "bert_base", "resnet18", "mobilenetv2", "efficientnet_lite0")
PEERS = ("torch_dynamic", "ort_dynamic", "openvino_nncf", "litert_dynamic")
EAGER = "torch_eager"
PAGE = ROOT / "docs/optimize.md"
MARKS = ("<!-- written by make bench-optimize-peers -->", "<!-- end -->")
SELECTION_ROUNDS, LIMIT_S = 15, 600


class Race:
    """Runs that take turns; each turn's time by the clock and of the processor."""

    def __init__(self, runs: Mapping[str, Callable[[int], object]]) -> None:
        self._runs = runs
        self._wall_ms: dict[str, list[float]] = {name: [] for name in runs}
        self._cpu_ms: dict[str, list[float]] = {name: [] for name in runs}

    def go(self, rounds: int) -> None:
        """Let all run `rounds` times, each time in another order; the first turn does not count."""
        names = list(self._runs)
        for index in range(-1, rounds):
            for name in names[index % len(names) :] + names[: index % len(names)]:
                started_s, cpu_s = time.perf_counter(), time.process_time()
                self._runs[name](index)
                cpu_ms = (time.process_time() - cpu_s) * 1000
                wall_ms = (time.perf_counter() - started_s) * 1000
                if index >= 0:
                    self._wall_ms[name].append(wall_ms)
                    self._cpu_ms[name].append(cpu_ms)

    def p50_ms(self, name: str) -> float:
        """Give the median by the clock."""
        return float(np.median(self._wall_ms[name]))

    def cpu_p50_ms(self, name: str) -> float:
        """Give the median of the processor, in all threads together."""
        return float(np.median(self._cpu_ms[name]))

    @property
    def names(self) -> list[str]:
        """Give the names, fastest first."""
        return sorted(self._runs, key=self.p50_ms)


def turns(run: Run, inputs: list[Inputs]) -> Callable[[int], object]:
    return lambda index: run(inputs[index % len(inputs)])


def one_model(name: str, rounds: int) -> dict[str, Any]:
    """Choose a bundle for a model and race it against its peers; gives the figures."""
    from benchmarks import contenders, subjects  # noqa: PLC0415 - heavy

    with tempfile.TemporaryDirectory(prefix="edgewise-") as place:
        folder = Path(place)
        case = subjects.open_case(name, folder)
        eager = importlib.import_module(f"benchmarks.peers.{EAGER}").prepare(case.subject)
        maker = contenders.Maker(case, folder)
        chosen, tried = choose(case, eager, maker)
        ours = maker.make(chosen, case.shapes)
        runs = {chosen.name: ours, EAGER: eager, **peers_of(case)}
        race = Race({key: turns(run, list(case.timed)) for key, run in runs.items()})
        race.go(rounds)
        cosines = {key: contenders.cosine(run, eager, case.held_out) for key, run in runs.items()}
        found = {
            "chosen": chosen.name,
            "tried": tried,
            "p50_ms": {key: race.p50_ms(key) for key in race.names},
            "cpu_p50_ms": {key: race.cpu_p50_ms(key) for key in race.names},
            "cosine": cosines,
        }
        if name == "minilm":
            found["natural"] = natural_length(ours, case, rounds)
        return found


def choose(case: Any, eager: Run, maker: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Give the fastest faithful contender, and what is known of each."""
    from benchmarks import contenders  # noqa: PLC0415 - heavy

    from edgewise.errors import EdgewiseError  # noqa: PLC0415 - with the others

    ready, tried = {}, []
    for one in contenders.contenders_for(case):
        told: dict[str, Any] = {"name": one.name, "why": ""}
        tried.append(told)
        try:
            run = maker.make(one, case.shapes)
            told["cosine"] = contenders.cosine(
                run, eager, _full(case) if one.fixed else case.held_out
            )
        except EdgewiseError as unfit:
            told["why"] = f"{unfit.what}"
            continue
        if told["cosine"] < contenders.MIN_COSINE:
            told["why"] = f"cosine {told['cosine']:.4f}"
            continue
        ready[one] = run
    race = Race({one.name: turns(run, list(case.timed)) for one, run in ready.items()})
    race.go(SELECTION_ROUNDS)
    for told in tried:
        if not told["why"]:
            told["cpu_p50_ms"] = race.cpu_p50_ms(told["name"])
    return min(ready, key=lambda one: race.cpu_p50_ms(one.name)), tried


def _full(case: Any) -> list[Inputs]:
    """Give the held-out inputs of the timed size; a fixed size takes no other."""
    size = next(iter(case.timed[0].values())).shape
    return [one for one in case.held_out if next(iter(one.values())).shape == size]


def peers_of(case: Any) -> dict[str, Run]:
    """Give the peers that can take this model; the others are named."""
    found = {}
    for name in PEERS:
        started_s = time.perf_counter()
        try:
            run = importlib.import_module(f"benchmarks.peers.{name}").prepare(case.subject)
            run(case.timed[0])
        except Exception as unfit:  # noqa: BLE001 - a foreign toolkit's, of any kind
            print(f"  {name} can't: {(str(unfit).splitlines() or ['?'])[0][:160]}", flush=True)
            continue
        found[name] = run
        print(f"  {name} ready in {time.perf_counter() - started_s:.0f} s", flush=True)
    return found


def natural_length(run: Run, case: Any, rounds: int) -> dict[str, float]:
    """Race sentences as they are against the same padded to 128, on the same bundle."""
    size = case.timed[0]["input_ids"].shape[1]
    texts = [one for one in case.held_out if one["input_ids"].shape[1] < size][:20]
    padded = [
        {k: np.pad(v, ((0, 0), (0, size - v.shape[1]))) for k, v in one.items()} for one in texts
    ]
    race = Race(
        {
            "natural": lambda _: [run(one) for one in texts],
            "padded": lambda _: [run(one) for one in padded],
        }
    )
    race.go(rounds)
    return {key: race.p50_ms(key) / len(texts) for key in race.names} | {
        "tokens": float(np.median([one["input_ids"].shape[1] for one in texts]))
    }


def claims_of(found: Mapping[str, Mapping[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """Give the claims of all models that were raced."""
    claims = []
    for name, one in found.items():
        p50_ms, ours_ms = one["p50_ms"], one["p50_ms"][one["chosen"]]
        there = [peer for peer in PEERS if peer in p50_ms]
        figures = {f"{key.replace(' ', '_')}_p50_ms": round(ms, 2) for key, ms in p50_ms.items()}
        told = {"rounds": rounds, "figures": figures}
        best_ms = min(p50_ms[peer] for peer in there)
        claims.append(_at_least(f"{name}_speedup_vs_best_peer", best_ms / ours_ms, 1.0, told))
        if name == "minilm":
            natural = one["natural"]
            ratio = p50_ms[EAGER] / ours_ms
            claims.append(_at_least("minilm_speedup_vs_torch_eager", ratio, 2.1, told))
            told = {
                "rounds": rounds,
                "figures": {f"{k}_p50_ms": round(natural[k], 3) for k in ("natural", "padded")}
                | {"p50_tokens": natural["tokens"]},
            }
            ratio = natural["padded"] / natural["natural"]
            claims.append(_at_least("minilm_natural_length_speedup", ratio, 3.0, told))
            others = {key: round(value, 4) for key, value in one["cosine"].items()}
            told = {"rounds": 1, "figures": others}
            claims.append(_at_least("minilm_cosine", one["cosine"][one["chosen"]], 0.99, told))
    return claims


def _at_least(name: str, value: float, bound: float, told: Mapping[str, Any]) -> dict[str, Any]:
    value = round(value, 4 if name.endswith("cosine") else 3)
    runs, figures = told["rounds"], told["figures"]
    return claim(name, value, bound, runs=runs, better="higher", peers=figures)


def table(name: str, one: Mapping[str, Any]) -> str:
    """Give the two races of a model as text."""
    lines = [f"\n{name}: what was tried", f"{'contender':<58}{'cosine':>8}{'cpu ms':>9}"]
    for told in one["tried"]:
        near = f"{told['cosine']:.4f}" if "cosine" in told else ""
        told_ms = f"{told['cpu_p50_ms']:.2f}" if "cpu_p50_ms" in told else f"out: {told['why']}"
        lines.append(f"{told['name']:<58}{near:>8} {told_ms:>8}")
    lines.append(f"{'chosen, and peers':<58}{'cosine':>8}{'p50 ms':>9}{'cpu ms':>9}")
    for key, ms in one["p50_ms"].items():
        lines.append(f"{key:<58}{one['cosine'][key]:>8.4f}{ms:>9.2f}{one['cpu_p50_ms'][key]:>9.2f}")
    if "natural" in one:
        natural = one["natural"]
        lines.append(
            f"natural length ({natural['tokens']:.0f} tokens at the median): "
            f"{natural['natural']:.2f} ms, padded to 128: {natural['padded']:.2f} ms"
        )
    return "\n".join(lines)


def markdown(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Give the second races as one table for the page, fastest first; ours is marked."""
    lines = ["| model | what runs | p50 ms | processor ms | cosine |", "|---|---|---:|---:|---:|"]
    for name, one in found.items():
        for key, ms in one["p50_ms"].items():
            label = f"**{key}**" if key == one["chosen"] else key
            figures = f"{ms:.2f} | {one['cpu_p50_ms'][key]:.2f} | {one['cosine'][key]:.4f}"
            lines.append(f"| {name} | {label} | {figures} |")
    return "\n".join(lines)


def write_page(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the table into `docs/optimize.md`, between its two marks, when all models are in it."""
    if set(found) != set(MODELS):
        return
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    table_of_all = f"{MARKS[0]}\n{markdown(found)}\n{MARKS[1]}"
    PAGE.write_text(before + table_of_all + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", choices=MODELS, default=MODELS)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--one", choices=MODELS, help="race one model and write it to --out")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.one:
        found = one_model(given.one, given.rounds)
        given.out.write_text(json.dumps(found), encoding="utf-8")
        return
    subprocess.run([sys.executable, str(ROOT / "examples/sentiment/prepare.py")], check=True)
    raced = {}
    with tempfile.TemporaryDirectory(prefix="edgewise-") as place:
        for name in given.only:
            out = Path(place) / f"{name}.json"
            command = [sys.executable, "-m", "benchmarks.optimize_models", "--one", name]
            command += ["--out", str(out), "--rounds", str(given.rounds)]
            started_s = time.perf_counter()
            print(f"{name} …", flush=True)
            try:
                subprocess.run(
                    command, check=True, env=_quietly(), stderr=subprocess.DEVNULL, timeout=LIMIT_S
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failed:
                print(f"{name} is left out: {failed}", flush=True)
                continue
            raced[name] = json.loads(out.read_text(encoding="utf-8"))
            print(table(name, raced[name]))
            print(f"({time.perf_counter() - started_s:.0f} s)\n", flush=True)
    write("optimize", claims_of(raced, given.rounds), keep=True)
    write_page(raced)


def _quietly() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "NNCF_CI": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


if __name__ == "__main__":
    main()
