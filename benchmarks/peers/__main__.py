"""Time all peers on one encoder, one thread, interleaved in one process.

    OMP_NUM_THREADS=1 python -m benchmarks.peers MODEL_DIRECTORY TEXTS.csv [--rounds 40]

Prints p50 in ms at batch 1 with 128 tokens and at the texts' natural lengths, by the clock and of
the processor (which other work on the machine disturbs less), and the mean cosine with PyTorch
eager at natural lengths.
"""

import argparse
import csv
import importlib
import pkgutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from benchmarks import peers
from benchmarks.peers import Inputs
from tokenizers import Tokenizer

TOKENS, TEXTS, SAMPLES = 128, 60, 100


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[Inputs]:
    found = []
    for one in tokenizer.encode_batch(texts):
        ids = np.array([one.ids], dtype=np.int64)
        found.append({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return found


def full(tokenizer: Tokenizer, texts: list[str]) -> Inputs:
    """Give the texts, joined and cut at 128 tokens, of which none is padding."""
    tokenizer.enable_truncation(TOKENS)
    (found,) = encode(tokenizer, [" ".join(texts)])
    assert found["input_ids"].shape == (1, TOKENS)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", nargs="*", help="names of peers")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(given.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    with given.texts.open(encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    natural, samples = encode(tokenizer, texts[:TEXTS]), encode(tokenizer, texts[TEXTS:][:SAMPLES])
    long = full(tokenizer, texts[:TEXTS])
    names = sorted(one.name for one in pkgutil.iter_modules(peers.__path__) if one.name[0] != "_")
    names = [name for name in names if not given.only or name in given.only]
    with tempfile.TemporaryDirectory() as folder:
        subject = peers.open_subject(given.model, samples, Path(folder))
        runs = {}
        for name in names:
            started_s = time.perf_counter()
            runs[name] = importlib.import_module(f"benchmarks.peers.{name}").prepare(subject)
            print(f"{name} ready in {time.perf_counter() - started_s:.0f} s", flush=True)
        truth = [subject.module(**_torch(one)).detach().numpy()[0] for one in natural]
        cosines = {
            name: float(
                np.mean([_cosine(run(one)[0], t) for one, t in zip(natural, truth, strict=True)])
            )
            for name, run in runs.items()
        }
        times = {(name, kind): Times() for name in runs for kind in ("long", "natural")}
        for run in runs.values():
            run(long)
        for index in range(given.rounds):
            for name, run in runs.items():
                times[name, "long"].take(run, long)
                times[name, "natural"].take(run, natural[index % TEXTS])
    tokens = np.median([one["input_ids"].shape[1] for one in natural[: given.rounds]])
    head = f"{'peer':<16}{'128 tokens':>11}{'cpu':>8}{f'natural ({tokens:.0f})':>15}{'cpu':>8}"
    print(f"\n{head}{'cosine':>9}")
    for name in sorted(runs, key=lambda name: times[name, "long"].p50_ms):
        long_times, short = times[name, "long"], times[name, "natural"]
        line = f"{name:<16}{long_times.p50_ms:>11.2f}{long_times.cpu_p50_ms:>8.2f}"
        print(f"{line}{short.p50_ms:>15.2f}{short.cpu_p50_ms:>8.2f}{cosines[name]:>9.4f}")


class Times:
    """What calls took by the clock, and of the processor in all threads together."""

    def __init__(self) -> None:
        self._wall_ms: list[float] = []
        self._cpu_ms: list[float] = []

    def take(self, run: peers.Run, inputs: Inputs) -> None:
        """Time a call."""
        started_s, cpu_s = time.perf_counter(), time.process_time()
        run(inputs)
        self._cpu_ms.append((time.process_time() - cpu_s) * 1000)
        self._wall_ms.append((time.perf_counter() - started_s) * 1000)

    @property
    def p50_ms(self) -> float:
        """Give the median by the clock."""
        return float(np.median(self._wall_ms))

    @property
    def cpu_p50_ms(self) -> float:
        """Give the median of the processor: more than the clock's where threads are many."""
        return float(np.median(self._cpu_ms))


def _torch(inputs: Inputs) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in inputs.items()}


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


if __name__ == "__main__":
    main()
