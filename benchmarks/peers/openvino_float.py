"""OpenVINO in 32-bit float on the same ONNX file, as our runtime sets it."""

from benchmarks.peers import Run, Subject, ort_float


def prepare(subject: Subject) -> Run:
    return ort_float.of(subject.onnx, "openvino")
