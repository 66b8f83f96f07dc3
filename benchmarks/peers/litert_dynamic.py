"""LiteRT with weights and activations in INT8, by ai-edge-quantizer's dynamic recipe."""

from ai_edge_quantizer import quantizer, recipe
from benchmarks.peers import Run, Subject, litert_float


def prepare(subject: Subject) -> Run:
    out = subject.folder / "peer-int8.tflite"
    whole = litert_float.convert(subject)
    made = quantizer.Quantizer(str(whole), recipe.dynamic_wi8_afp32()).quantize()
    out.write_bytes(made.quantized_model)
    return litert_float.padded(subject.shapes, out)
