"""ONNX Runtime in float, one thread that does not spin."""

from pathlib import Path

from benchmarks.peers import Inputs, Run, Subject

from edgewise.runtimes import find_runtime


def prepare(subject: Subject) -> Run:
    return of(subject.onnx, "onnxruntime")


def of(model: Path, runtime: str) -> Run:
    session = find_runtime(runtime).load(model)

    def run(inputs: Inputs):
        return session.run(inputs)[session.output_names[0]]

    return run
