"""Split banking77 by a hash of each text: for heads, for the pre-router, for the certificate.

The set is in the folder that EDGEWISE_DATA names (`text/banking77_{train,dev}.csv`), else in
`../shared/data` beside the clone. Its source is PolyAI's task-specific-datasets, CC BY 4.0
(Casanueva et al. 2020, "Efficient Intent Detection with Dual Sentence Encoders"); the columns
may be called `text` and `label`, or `text` and `category` as there.
"""

import csv
import hashlib
import os
import runpy
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SENTIMENT = HERE.parent / "sentiment"
SHARES = (("train", 50), ("tune", 65), ("calibration", 100))
TOPICS = (
    ("top_up", ("top_up", "topping_up")),
    ("transfer", ("transfer", "beneficiary", "receiving_money")),
    ("cash", ("cash", "atm")),
    ("card", ("card", "pin", "contactless")),
)

Row = dict[str, str]


def prepare() -> None:
    """Make `data/{train,tune,calibration,test}.csv`, and bring the encoder of `sentiment`."""
    runpy.run_path(str(SENTIMENT / "prepare.py"))["prepare"](SENTIMENT)
    if (HERE / "data/test.csv").exists():
        return
    folder = Path(os.environ.get("EDGEWISE_DATA", ROOT.parent / "shared/data")) / "text"
    if not folder.is_dir():
        raise SystemExit(f"no banking77 in {folder}: set EDGEWISE_DATA")
    seen: set[str] = set()
    rows: dict[str, list[Row]] = {name: [] for name, _ in SHARES}
    for row in _read(folder / "banking77_train.csv", seen):
        draw = int(hashlib.sha256(row["text"].encode()).hexdigest()[:8], 16) % 100
        rows[next(name for name, top in SHARES if draw < top)].append(row)
    rows["test"] = list(_read(folder / "banking77_dev.csv", seen))
    for name in ("train", "tune", "calibration", "test"):
        write(
            name, sorted(rows[name], key=lambda row: hashlib.sha256(row["text"].encode()).digest())
        )


def write(name: str, rows: list[Row]) -> None:
    """Write a split whole or not at all."""
    path = HERE / "data" / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    aside = path.with_suffix(".part")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    aside.replace(path)


def read(name: str) -> list[Row]:
    """Read a split."""
    with (HERE / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _read(path: Path, seen: set[str]) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = " ".join(row["text"].split())
            label = row.get("label") or row["category"]
            if text.lower() not in seen:
                seen.add(text.lower())
                yield {"text": text, "label": label, "topic": _topic(label)}


def _topic(label: str) -> str:
    name = label.lower()
    return next((topic for topic, words in TOPICS if any(w in name for w in words)), "account")


if __name__ == "__main__":
    prepare()
