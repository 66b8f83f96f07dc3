"""OpenVINO in float on the same ONNX file."""

from benchmarks.peers import Run, Subject, ort_float


def prepare(subject: Subject) -> Run:
    return ort_float.of(subject.onnx, "openvino")
