"""OpenVINO on the same ONNX file, in the precision it picks: bfloat16 where the CPU has it."""

from pathlib import Path

from benchmarks.peers import Inputs, Run, Subject

from edgewise.runtimes import find_runtime


def prepare(subject: Subject) -> Run:
    find_runtime("openvino").load(subject.onnx).close()  # imports OpenVINO without its telemetry
    return of(subject.onnx)


def of(model: Path) -> Run:
    import openvino  # noqa: PLC0415 - after our runtime has loaded it

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = openvino.Core().compile_model(str(model), "CPU", settings).create_infer_request()

    def run(inputs: Inputs):
        return request.infer(inputs)[0].copy()

    return run
