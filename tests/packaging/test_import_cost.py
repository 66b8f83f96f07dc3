"""`import edgewise` brings in nothing heavy, and a device install does its work without extras."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import edgewise
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle

HEAVY = (
    "PIL",
    "asyncio",
    "click",
    "httpx2",
    "jinja2",
    "numpy",
    "onnx",
    "onnxruntime",
    "pydantic",
    "safetensors",
    "sklearn",
    "sqlite3",
    "tokenizers",
    "tqdm",
    "yaml",
)
OF_EXTRAS = (
    "PIL",
    "ai_edge_litert",
    "httptools",
    "jinja2",
    "onnx",
    "openvino",
    "pydantic",
    "safetensors",
    "msgspec",
    "sklearn",
    "torch",
    "tqdm",
    "uvloop",
    "yaml",
)
ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def run(
    program: str, *arguments: str, without: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    program = ABSENT.format(names=without) + program
    # Coverage, where it follows child processes, brings in modules of its own.
    plain = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=plain,
    )


def modules_after(statement: str) -> set[str]:
    done = run(f"{statement}\nimport sys\nprint(*sys.modules)")
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_edgewise_imports_nothing_heavy() -> None:
    assert modules_after("import edgewise") & set(HEAVY) == set()


def test_the_command_lines_help_imports_click_and_nothing_else_that_is_heavy() -> None:
    found = modules_after("from edgewise.cli import main; main(['--help'])")

    assert found & (set(HEAVY) - {"asyncio"}) == {"click"}


@pytest.mark.parametrize(
    "stage",
    ["errors", "records", "units", "extras", "observe", "route.decide", "calibrate", "plan"],
)
def test_a_pure_package_loads_no_model_runtime(stage: str) -> None:
    found = modules_after(f"import edgewise.{stage}")

    assert found & {"onnxruntime", "tokenizers", "httpx2", "onnx", "sklearn"} == set()


def test_public_names_are_sorted_and_each_resolves_without_any_extra() -> None:
    assert edgewise.__all__ == sorted(edgewise.__all__)
    assert set(edgewise.__all__) <= set(dir(edgewise))

    done = run(
        "import edgewise\nfor name in edgewise.__all__: assert getattr(edgewise, name), name",
        without=OF_EXTRAS,
    )

    assert done.returncode == 0, done.stderr


def test_each_packages_all_is_true() -> None:
    program = """
import importlib, pkgutil, edgewise
for found in pkgutil.iter_modules(edgewise.__path__, "edgewise."):
    if found.name == "edgewise.__main__":
        continue
    package = importlib.import_module(found.name)
    assert package.__doc__, found.name
    for name in getattr(package, "__all__", ()):
        assert hasattr(package, name), (found.name, name)
"""

    done = run(program)

    assert done.returncode == 0, done.stderr


def test_a_device_predicts_without_any_extra(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    program = """
import sys
from edgewise import HybridInferenceEngine
with HybridInferenceEngine(edge_model_path=sys.argv[1]) as engine:
    print(engine.predict_sync({"text": "good great"})["prediction"])
"""

    done = run(program, str(bundle), without=OF_EXTRAS)

    assert (done.returncode, done.stdout) == (0, "positive\n"), done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["doctor", "--json"]])
def test_verbs_of_a_device_work_without_any_extra(arguments: list[str]) -> None:
    program = "import sys; from edgewise.cli import main; sys.exit(main(sys.argv[1:]))"

    done = run(program, *arguments, without=OF_EXTRAS)

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_device_profiles_on_a_terminal_without_any_extra(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    program = "import sys; from edgewise.cli import main; sys.exit(main(sys.argv[1:]))"
    program = ABSENT.format(names=OF_EXTRAS) + program
    here, there = pty.openpty()

    with subprocess.Popen(
        [sys.executable, "-c", program, "profile", str(bundle), "--batch", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=there,
        text=True,
    ) as child:
        shown, _ = child.communicate(timeout=60)
    said = os.read(here, 100_000).decode()
    os.close(here)
    os.close(there)

    assert child.returncode == 0, said
    assert json.loads(shown)["n"] == 200
    assert "· profile" in said


def missing(arguments: list[str], module: str) -> "subprocess.CompletedProcess[str]":
    program = "import sys; from edgewise.cli import main; sys.exit(main(sys.argv[1:]))"
    return run(program, *arguments, without=(module,))


@pytest.mark.parametrize("module", ["pydantic", "yaml", "onnx", "sklearn"])
def test_a_build_without_its_extra_names_the_command_to_get_it(module: str, tmp_path: Path) -> None:
    spec = tmp_path / "edgewise.yaml"
    spec.write_text(
        "name: a\ntask: text-classification\nmodel: {source: model}\n"
        "data: {train: train.csv, calibration: calibration.csv, test: test.csv}\n"
    )
    for name, words in (("train", "ab"), ("calibration", "cd"), ("test", "ef")):
        rows = "".join(f"{word},{label}\n" for word, label in zip(words, "xy", strict=True))
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{rows}")
    (tmp_path / "model").mkdir()

    done = missing(["run", str(spec), "--out", str(tmp_path / "out")], module)

    assert done.returncode == 1
    assert f"`{module}` is not installed" in done.stderr
    assert 'pip install "edgewise[optimize]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["httptools", "msgspec"])
def test_serving_without_its_extra_names_the_command_to_get_it(module: str, tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")

    done = missing(["serve", str(bundle), "--port", "0"], module)

    assert done.returncode == 1
    assert f"`{module}` is not installed" in done.stderr
    assert 'pip install "edgewise[gateway]"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("runtime", "module"), [("OpenVino", "openvino"), ("LiteRt", "ai_edge_litert")]
)
def test_a_runtime_without_its_extra_names_the_command_to_get_it(runtime: str, module: str) -> None:
    program = """
import importlib, sys
from pathlib import Path
from edgewise.errors import MissingExtra
home = importlib.import_module("edgewise.runtimes." + sys.argv[1].lower())
try:
    getattr(home, sys.argv[1])().load(Path("model"))
except MissingExtra as missing:
    print(missing.what, missing.hint)
"""

    done = run(program, runtime, without=(module,))

    extra = runtime.lower()
    assert done.stdout == f'`{module}` is not installed pip install "edgewise[{extra}]"\n', (
        done.stderr
    )


def test_a_bundles_fit_names_the_runtime_that_is_missing(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    program = """
import sys
from pathlib import Path
from edgewise.runtimes import find_fits
for fit in find_fits(Path(sys.argv[1])):
    print(fit.runtime, fit.runs, fit.command)
"""

    done = run(program, str(bundle), without=("openvino", "ai_edge_litert"))

    assert done.stdout.splitlines() == [
        "onnxruntime True ",
        'openvino False pip install "edgewise[openvino]"',
        "litert False ",
    ], done.stderr


def test_an_image_file_without_its_extra_names_the_command_to_get_it(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle")
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG")
    program = """
import sys
from pathlib import Path
from edgewise.errors import MissingExtra
from edgewise.runtimes import open_bundle
try:
    open_bundle(Path(sys.argv[1])).predict({"image": sys.argv[2]})
except MissingExtra as missing:
    print(missing.what, missing.hint)
"""

    done = run(program, str(bundle), str(picture), without=("PIL",))

    assert done.stdout == '`PIL` is not installed pip install "edgewise[image]"\n', done.stderr


@pytest.mark.integration
@pytest.mark.parametrize(
    "work",
    [
        "from edgewise.runtimes import open_bundle; open_bundle(Path(sys.argv[1])).predict(TEXT)",
        "import edgewise.optimize.passes.int8_dynamic as p, onnx;"
        "p.quantize(onnx.load(Path(sys.argv[1]) / 'model.onnx'), reduce_range=True)",
    ],
)
def test_onnx_runtime_starts_no_telemetry(tmp_path: Path, work: str) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    spool = tmp_path / "spool"
    spool.mkdir()
    code = f"import sys; from pathlib import Path; TEXT = {{'text': 'good'}}; {work}"
    told = {key: value for key, value in os.environ.items() if not key.startswith("ORT_")}

    subprocess.run(
        [sys.executable, "-c", code, str(bundle)], env={**told, "TMPDIR": str(spool)}, check=True
    )

    assert not list(spool.iterdir())
