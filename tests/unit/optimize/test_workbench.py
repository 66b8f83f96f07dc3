"""What candidates are made from."""

from collections.abc import Sequence
from pathlib import Path

from tiny_project import write_project

from edgewise.optimize.sources import open_source
from edgewise.optimize.workbench import Workbench
from edgewise.optimize.writing import BundleWriter
from edgewise.records import (
    DataSpec,
    Example,
    Input,
    ModelSpec,
    Profile,
    ProjectSpec,
    Split,
    Task,
    silent,
)


def nothing(_: Path, __: Sequence[Input]) -> Profile:
    raise AssertionError


def test_a_directory_is_as_large_as_the_weights_that_are_read(tmp_path: Path) -> None:
    write_project(tmp_path)
    folder, path = tmp_path / "model", tmp_path / "train.csv"
    for name in ("onnx/model.onnx", "onnx/model_O4.onnx", "pytorch_model.pt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(1000))
    spec = ProjectSpec(
        name="tiny",
        task=Task.FEATURE_EXTRACTION,
        model=ModelSpec(source=folder),
        data=DataSpec(train=path, calibration=path, test=path),
    )

    writer = BundleWriter(spec, open_source(folder, ()), (), tmp_path / "work")

    assert writer.source_size_bytes == (folder / "model.safetensors").stat().st_size


def test_samples_are_from_all_over_a_sorted_file(tmp_path: Path) -> None:
    write_project(tmp_path)
    path = tmp_path / "train.csv"
    rows = [Example(input=f"a good film {at}", label="") for at in range(75)]
    rows += [Example(input=f"so bad that it is a bad film {at}", label="") for at in range(75)]
    spec = ProjectSpec(
        name="tiny",
        task=Task.FEATURE_EXTRACTION,
        model=ModelSpec(source=tmp_path / "model"),
        data=DataSpec(train=path, calibration=path, test=path),
    )
    data = Split(name="data", examples=tuple(rows), sha256="")
    bench = Workbench(spec, data, tmp_path / "work", probe=nothing, workers=1, progress=silent)
    bench.train_heads((2,))
    assert 64 < len(bench.fit_inputs) < 128

    samples = bench._whole().draft.samples

    lengths = [one["input_ids"].shape[1] for one in samples]
    assert len(samples) == 64
    assert 24 < lengths.count(max(lengths)) < 40
