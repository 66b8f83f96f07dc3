"""What optimization buys: the INT8 form of MiniLM against its own float form.

Claims: `int8_speedup_vs_float` at least 1.4, the two bundles interleaved in one process, one
thread, real sentences of natural length; `int8_size_share` at most 0.30; `int8_agreement` at least
0.96 on the test split. Model and sentences are those of `examples/sentiment`.

    .venv/bin/python -m benchmarks.optimize
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.results import ROOT, claim, write

from edgewise.optimize import optimize
from edgewise.profile import describe_target, measure
from edgewise.records import Input
from edgewise.runtimes import LocalModel, open_bundle
from edgewise.spec import load_spec, read_split

RUNS = 7
SENTENCES = 200
EXAMPLE = ROOT / "examples/sentiment"


def make_bundles(folder: Path) -> tuple[Path, Path]:
    """Make the whole encoder with a trained head, in float and in INT8; nothing is held against."""
    spec = load_spec(EXAMPLE / "edgewise.yaml")
    spec = replace(
        spec,
        edge=replace(spec.edge, storage_bytes=None, memory_bytes=None),
        optimize=replace(spec.optimize, layers=(6,), min_agreement=0.0),
    )
    optimize(
        spec,
        read_split(spec, "train"),
        folder,
        probe=lambda bundle, inputs: measure(bundle, inputs[:20]),
        workers=describe_target(1, "onnxruntime").cores,
    )
    made = folder / f"candidates-{spec.name}"
    return made / "head-logistic", made / "head-logistic+smooth+int8-dynamic"


def time_ms(model: LocalModel, one: Input) -> float:
    started_s = time.perf_counter()
    model.predict(one)
    return (time.perf_counter() - started_s) * 1000


def speedup(near: LocalModel, far: LocalModel, inputs: list[Input]) -> tuple[float, float, float]:
    """Give the ratio of the sums of each input's time, and the p50 of each in ms, interleaved."""
    pairs = [(time_ms(near, one), time_ms(far, one)) for one in inputs]
    float_ms, int8_ms = [a for a, _ in pairs], [b for _, b in pairs]
    ratio = sum(float_ms) / sum(int8_ms)
    return ratio, statistics.median(float_ms), statistics.median(int8_ms)


def size_bytes(bundle: Path) -> int:
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())


def main() -> None:
    subprocess.run([sys.executable, str(EXAMPLE / "prepare.py")], check=True)
    spec = load_spec(EXAMPLE / "edgewise.yaml")
    texts: list[Input] = [{"text": one.input} for one in read_split(spec, "test").examples]
    with tempfile.TemporaryDirectory(prefix="edgewise-") as name:
        float_bundle, int8_bundle = make_bundles(Path(name))
        near, far = open_bundle(float_bundle), open_bundle(int8_bundle)
        speedup(near, far, texts[:20])
        runs = [speedup(near, far, texts[:SENTENCES]) for _ in range(RUNS)]
        workers = describe_target(1, "onnxruntime").cores
        answers = [model.predict_many(texts, workers=workers) for model in (near, far)]
        share = size_bytes(int8_bundle) / size_bytes(float_bundle)
    agreement = statistics.mean(a.label == b.label for a, b in zip(*answers, strict=True))
    ratio, float_ms, int8_ms = (statistics.median(run[i] for run in runs) for i in range(3))
    peers = {"float_p50_ms": round(float_ms, 3), "int8_p50_ms": round(int8_ms, 3)}
    write(
        "optimize",
        [
            claim(
                "int8_speedup_vs_float",
                round(ratio, 2),
                1.4,
                runs=RUNS,
                better="higher",
                peers=peers,
            ),
            claim("int8_size_share", round(share, 3), 0.30, runs=1),
            claim("int8_agreement", round(agreement, 4), 0.96, runs=1, better="higher"),
        ],
        keep=True,
    )


if __name__ == "__main__":
    main()
