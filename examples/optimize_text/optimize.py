"""Make a real sentence encoder fit a small device by `edgewise optimize`, and let it answer.

Run it by `python examples/optimize_text/optimize.py`. The encoder and the sentences are those of
`examples/sentiment`, brought by its own preparation.
"""

import runpy
import subprocess
import sys
from pathlib import Path

from edgewise.runtimes import open_bundle

HERE = Path(__file__).parent
SENTIMENT = HERE.parent / "sentiment"
TARGET = "memory=256MiB,storage=24MiB,threads=1,latency=100ms"
SENTENCES = (
    "A warm and clever film with a superb cast.",
    "The battery died within a week and nobody answered my mails.",
)


def main(out: Path) -> None:
    """Prepare, optimize into `out`, and print what the bundle says."""
    runpy.run_path(str(SENTIMENT / "prepare.py"))["prepare"](SENTIMENT)
    source, data = SENTIMENT / "models/minilm", SENTIMENT / "data/train.csv"
    order = ["optimize", str(source), "--data", str(data), "--target", TARGET, "--out", str(out)]
    done = subprocess.run([sys.executable, "-m", "edgewise", *order], check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    print()
    model = open_bundle(out / "bundle")
    for text in SENTENCES:
        answer = model.predict({"text": text})
        print(f"{answer.label} ({answer.confidence:.0%})  {text}")
    model.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "runs/best")
