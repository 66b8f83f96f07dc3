"""Make a convolution network smaller by `edgewise optimize`, and count its right answers.

Run it by `python examples/optimize_image/optimize.py`. The images are those of `examples/digits`,
written by its own preparation.
"""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from network import learn

from edgewise.runtimes import open_bundle
from edgewise.tasks import wilson_interval

HERE = Path(__file__).parent
DIGITS = HERE.parent / "digits"
TARGET = "memory=256MiB,threads=1,latency=100ms"
PIXELS = ("--image-mean", "0", "--image-std", "1")


def main(folder: Path) -> None:
    """Make the data and the network in `folder`, optimize into its `runs/best`, and test that."""
    digits = runpy.run_path(str(DIGITS / "prepare.py"))
    parts = digits["split"]()
    for name in ("train", "test"):
        digits["write_split"](folder / "data", name, *parts[name])
    (folder / "models").mkdir(parents=True, exist_ok=True)
    onnx.save(learn(*parts["source"]), folder / "models/convnet.onnx")
    order = ["optimize", "models/convnet.onnx", "--data", "data/train.csv"]
    order += ["--target", TARGET, *PIXELS, "--out", "runs/best"]
    done = subprocess.run([sys.executable, "-m", "edgewise", *order], cwd=folder, check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    labels = parts["test"][1]
    right = count_right(folder, labels.tolist())
    low, high = wilson_interval(right, len(labels))
    print(f"\non images that it never saw: {right} of {len(labels)} right", end="")
    print(f" ({right / len(labels):.1%}, 95% interval {low:.1%} – {high:.1%})")


def count_right(folder: Path, labels: list[int]) -> int:
    """Ask the bundle for the digit of each test image."""
    model = open_bundle(folder / "runs/best/bundle")
    files = sorted((folder / "data/test").glob("*.png"))
    found = [model.predict({"image": str(file)}).label for file in files]
    model.close()
    return int(np.sum(np.array(found) == np.array(labels, dtype=str)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
