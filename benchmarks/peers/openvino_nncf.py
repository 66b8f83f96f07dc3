"""OpenVINO with NNCF's post-training INT8 for transformers."""

import os

from benchmarks.peers import Run, Subject, openvino_default

from edgewise.runtimes import find_runtime


def prepare(subject: Subject) -> Run:
    find_runtime("openvino").load(subject.onnx).close()  # imports OpenVINO without its telemetry
    os.environ["NNCF_CI"] = "1"  # and this is NNCF's switch for its own
    import nncf  # noqa: PLC0415 - after the lines above
    import openvino  # noqa: PLC0415

    whole = openvino.Core().read_model(str(subject.onnx))
    made = nncf.quantize(
        whole,
        nncf.Dataset(list(subject.samples)),
        subset_size=min(300, len(subject.samples)),
        model_type=nncf.ModelType.TRANSFORMER if subject.is_text else None,
    )
    out = subject.folder / "nncf-int8.xml"
    openvino.save_model(made, str(out), compress_to_fp16=False)
    return openvino_default.of(out)
