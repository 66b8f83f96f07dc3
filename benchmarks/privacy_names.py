"""How well names of persons are found: precision and recall on made-up English sentences.

Claims: `privacy_name_recall` at least 0.98 and `privacy_name_precision` at least 0.9, as of the
other kinds, on texts drawn with a seed that nothing was developed on; half of them name a person,
the others a place, a firm or a day. It needs the extra `privacy`.

    .venv-heavy/bin/python -m benchmarks.privacy_names
"""

import statistics
import time

import numpy as np
from benchmarks.results import claim, write

from edgewise.route.privacy import detect
from edgewise.testing.names import named_texts
from edgewise.testing.privacy import rates_of

SEED, EACH = 20_261, 1500
KINDS = ("name",)


def main() -> None:
    """Measure, print and keep."""
    texts = named_texts(np.random.default_rng(SEED), EACH)
    precision, recall = rates_of(detect, KINDS, texts)["name"]
    taken_ms = []
    for one in texts[:300]:
        start_s = time.perf_counter()
        detect(one.text, KINDS)
        taken_ms.append((time.perf_counter() - start_s) * 1000)
    times = {"text_p50_ms": round(statistics.median(taken_ms), 2)}
    write(
        "route",
        [
            claim("privacy_name_recall", round(recall, 3), 0.98, runs=1, better="higher"),
            claim("privacy_name_precision", round(precision, 3), 0.9, runs=1, better="higher")
            | times,
        ],
        keep=True,
    )


if __name__ == "__main__":
    main()
