"""Real tables of answers, as populations to draw calibration sets from."""

import csv
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from populations import Population

PAIRED = {
    "mmlu": ("weak_correct", "strong_correct"),
    # Of these the score of one task is graded, so the test is by betting.
    "llmrouter_9models": ("codegemma-7b_score", "llama-3.1-nemotron-51b-instruct_score"),
}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def read_population() -> Callable[[str, str, str], Population]:
    """Give a reader of (table, cloud, loss) from `$EDGEWISE_DATA`, default `../shared/data`."""
    data = Path(os.environ.get("EDGEWISE_DATA", ROOT.parent / "shared" / "data"))

    def rows_of(name: str) -> list[dict[str, str]]:
        path = data / "routing" / f"{name}_dev.csv.gz"
        if not path.is_file():
            pytest.fail(
                f"there is no {path}\n\nhint: set EDGEWISE_DATA to the folder that holds "
                "routing/README.md, which names the sources on GitHub",
                pytrace=False,
            )
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def read(table: str, cloud: str, loss: str) -> Population:
        rows = rows_of(table if table in PAIRED else f"frugalml_{table}")

        def column(name: str) -> np.ndarray:
            return np.array([float(row[name]) for row in rows])

        if table in PAIRED:
            # There is no confidence: any score may be certified, so the shorter prompt is kept.
            edge, far = PAIRED[table]
            score = -np.array([float(len(row["prompt"])) for row in rows])
            return Population(score, column(edge), column(far), loss)
        near, right = column("edge_correct"), column(f"{cloud}_correct")
        if loss == "disagreement":
            near = (column("edge_pred") == column(f"{cloud}_pred")).astype(float)
            right = np.ones(len(rows))
        return Population(column("edge_conf"), near, right, loss)

    return read
