"""ONNX Runtime's `quantize_dynamic` with its defaults."""

from benchmarks.peers import Run, Subject, ort_float
from onnxruntime.quantization import quantize_dynamic


def prepare(subject: Subject) -> Run:
    out = subject.folder / "ort-int8.onnx"
    quantize_dynamic(str(subject.onnx), str(out))
    return ort_float.of(out, "onnxruntime")
