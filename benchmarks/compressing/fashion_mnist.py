"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), as Debian's `dataset-fashion-mnist` has it. MIT.

Where the package is not installed, `apt-get download` brings it into the work folder.
"""

import gzip
import hashlib
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = "dataset-fashion-mnist"
PLACE = Path("usr/share/datasets/fashion-mnist")
LABELS = ("t-shirt", "trouser", "pullover", "dress", "coat")
LABELS += ("sandal", "shirt", "sneaker", "bag", "ankle boot")
FILES = {
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    "train-images-idx3-ubyte.gz": (
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"
    ),
    "train-labels-idx1-ubyte.gz": (
        "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"
    ),
}


def find(work: Path) -> Path:
    """Give the folder of the four files, from the system or from the package."""
    installed, own = Path("/") / PLACE, work / PLACE
    if installed.is_dir():
        return installed
    if not own.is_dir():
        work.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "--quiet", PACKAGE], check=True, cwd=work)
        (package,) = work.glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), str(work)], check=True)
    return own


def read(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give images of shape (n, 28, 28) and labels of shape (n,); the split is `train` or `t10k`."""
    images = _read(folder / f"{split}-images-idx3-ubyte.gz", 16)
    return images.reshape(-1, 28, 28), _read(folder / f"{split}-labels-idx1-ubyte.gz", 8)


def _read(path: Path, header_bytes: int) -> NDArray[np.uint8]:
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != FILES[path.name]:
        raise ValueError(f"{path} is not the file that was looked at")
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header_bytes)
