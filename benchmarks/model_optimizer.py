"""What `ModelOptimizer`'s steps buy a classifier of BERT-base's shape: bytes, time and memory.

Random weights and random ids of 32 tokens: sizes, times and memory are those of a trained model,
accuracy is not (the float model's own answers are the labels, the bias moved so that both occur).
Claims: the sequence quantize (static), prune (0.4), mobile leaves at most 0.3 of the bytes and is
faster than the float model, both on ONNX Runtime with one thread, in turn.

    python -m benchmarks.model_optimizer

It needs the extra `torch`.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from benchmarks.results import claim, write
from transformers import BertConfig, BertForSequenceClassification

from edgewise import ModelOptimizer
from edgewise.optimize.optimized import OptimizedModel

LENGTH, KNOWN, TEST, ROUNDS = 32, 8, 64, 16


def sentences(count: int, seed: int) -> dict[str, torch.Tensor]:
    ids = torch.from_numpy(np.random.default_rng(seed).integers(1000, 30_000, (count, LENGTH)))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def timed(step: Callable[[], OptimizedModel]) -> tuple[OptimizedModel, float]:
    begun_s = time.perf_counter()
    made = step()
    return made, time.perf_counter() - begun_s


def main() -> int:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = BertForSequenceClassification(BertConfig(num_labels=2)).eval()
    known, test = sentences(KNOWN, 0), sentences(TEST, 1)
    with torch.no_grad():
        logits = module(**test).logits
        module.classifier.bias[1] -= (logits[:, 1] - logits[:, 0]).quantile(0.5)
        labels = module(**test).logits.argmax(-1)
    optimizer = ModelOptimizer()
    example = {name: value[:1] for name, value in test.items()}
    quantized, quantize_s = timed(lambda: optimizer.quantize_model(module, known, "static"))
    pruned, prune_s = timed(lambda: optimizer.prune_model(quantized, 0.4))
    mobile, mobile_s = timed(
        lambda: optimizer.optimize_for_mobile(pruned, example, formats=["ort"])
    )
    steps = (
        ("quantize_model", quantized, quantize_s),
        ("prune_model", pruned, prune_s),
        ("optimize_for_mobile", mobile, mobile_s),
    )
    shares, speeds, times_ms, peaks_mb = {}, {}, {}, {}
    for name, model, seconds_s in steps:
        found = optimizer.measure_optimization_impact(module, model, test, labels, rounds=ROUNDS)
        print(f"{name} in {seconds_s:.1f} s: {', '.join(model.recipe)}")
        for key, value in found.items():
            print(f"  {key:26} {value:.4g}" if isinstance(value, float) else f"  {key:26} {value}")
        shares[name] = round(1 - found.size_reduction, 4)
        speeds[name] = round(found.latency_improvement, 2)
        times_ms |= {
            "float_ms": found.original_latency_ms,
            f"{name}_ms": found.optimized_latency_ms,
        }
        peaks_mb |= {
            "float_mb": found.original_peak_memory_mb,
            f"{name}_mb": found.optimized_peak_memory_mb,
        }
    last = steps[-1][0]
    memory_share = found.optimized_peak_memory_mb / found.original_peak_memory_mb
    claims = [
        claim("bert_base_sequence_size_share", shares[last], 0.3, runs=1, peers=shares),
        claim(
            "bert_base_sequence_speedup",
            speeds[last],
            1.0,
            runs=ROUNDS,
            better="higher",
            peers=speeds | times_ms,
        ),
        claim("bert_base_sequence_peak_memory_share", memory_share, 1.0, runs=1, peers=peaks_mb),
    ]
    write("model_optimizer", claims)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
