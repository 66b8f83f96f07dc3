"""Real tables of answers, as populations to draw calibration sets from."""

import csv
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from populations import Population

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def read_population() -> Callable[[str, str, str], Population]:
    """Give a reader of (table, cloud, loss) from `$EDGEWISE_DATA`, default `../shared/data`."""
    data = Path(os.environ.get("EDGEWISE_DATA", ROOT.parent / "shared" / "data"))

    def read(table: str, cloud: str, loss: str) -> Population:
        path = data / "routing" / f"frugalml_{table}_dev.csv.gz"
        if not path.is_file():
            pytest.fail(
                f"there is no {path}\n\nhint: set EDGEWISE_DATA to the folder that holds "
                "routing/README.md, which names the source: lchen001/FrugalML on GitHub",
                pytrace=False,
            )
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))

        def column(name: str) -> np.ndarray:
            return np.array([float(row[name]) for row in rows])

        edge, right = column("edge_correct"), column(f"{cloud}_correct")
        if loss == "disagreement":
            edge = (column("edge_pred") == column(f"{cloud}_pred")).astype(float)
            right = np.ones(len(rows))
        return Population(column("edge_conf"), edge, right, loss)

    return read
