"""From banking77 to a calibrated policy, and live requests by it, against always asking the cloud.

Run it by `python examples/intents/intents.py`. The cloud is emulated by the strongest model at
hand, the full six-layer MiniLM with a head of its own, served from another process with a delay.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from prepare import HERE, Row, prepare, read, write

from edgewise import HybridInferenceEngine, PreRouter
from edgewise.records import write_json
from edgewise.runtimes import open_bundle

PORT = "8472"
AT_ONCE = 16
TOPICS = ("calibrate", "runs/strict", "--labels", "data/calibration.csv", "--cloud-column", "cloud")


def main() -> None:
    """Build both tiers, certify, fit a pre-router, and route the test split three ways."""
    prepare()
    edgewise("run", "cloud.yaml", "--out", "runs/cloud", quiet=True)
    for name in ("calibration", "test"):
        rows = read(name)
        if "cloud" in rows[0]:
            continue
        answers = answers_of("runs/cloud", rows)
        write(name, [row | {"cloud": said} for row, said in zip(rows, answers, strict=True)])

    print("\n1. A certificate for all requests: at most 2 points below always asking the cloud\n")
    edgewise("run", "edgewise.yaml", "--out", "runs/strict")
    edgewise("policy", "show", "runs/strict")

    print("\n2. A certificate that holds in each topic too: at most 5 points in any of them\n")
    edgewise(*TOPICS, "--group-column", "topic", "--alpha", "0.05", "--out", "runs/topics", no=3)

    print(
        "\n3. A pre-router from rows that trained nothing else, and a policy that may lose more\n"
    )
    fit_prerouter()
    edgewise("run", "looser.yaml", "--out", "runs/looser", quiet=True)
    edgewise("policy", "diff", "runs/strict", "runs/looser")

    print("\n4. Live requests\n")
    with cloud():
        asyncio.run(route())


def edgewise(*arguments: str, quiet: bool = False, no: int = 0) -> None:
    """Call the command line as a user would; `no` is an exit code that is an answer too."""
    command = [sys.executable, "-m", "edgewise", *arguments]
    sys.stdout.flush()
    done = subprocess.run(command, stdout=subprocess.DEVNULL if quiet else None, check=False)
    if done.returncode not in (0, no):
        raise SystemExit(done.returncode)


def answers_of(run: str, rows: list[Row]) -> list[str]:
    """Give what a run's bundle says of each row."""
    model = open_bundle(Path(run) / "bundle")
    said = [model.predict({"text": row["text"]}).label for row in rows]
    model.close()
    return said


def fit_prerouter() -> None:
    """Learn from the tune split where the cloud is right and the edge is not."""
    rows = read("tune")

    def right(run: str) -> list[float]:
        pairs = zip(answers_of(run, rows), rows, strict=True)
        return [float(said == row["label"]) for said, row in pairs]

    router = PreRouter.fit(
        [row["text"] for row in rows],
        right("runs/strict"),
        right("runs/cloud"),
        groups=[row["label"] for row in rows],
    )
    write_json(Path("runs/prerouter.json"), router.weights)
    evidence = router.weights.evidence
    assert evidence is not None
    said = f"{evidence.mse:.4f}; of always giving the mean: {evidence.mse_of_mean:.4f}"
    print(f"squared error of the predicted gain on intents left out: {said}\n")


@contextlib.contextmanager
def cloud() -> Iterator[None]:
    """Serve the cloud's model from another process, with a delay of 60 ms (p95: 180 ms)."""
    command = [sys.executable, "-m", "edgewise", "serve", "runs/cloud/bundle", "--port", PORT]
    command += ["--delay-ms", "60,180"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            if not server.stdout.readline().startswith("ready"):
                raise SystemExit("the cloud's server did not start")
            yield
        finally:
            server.kill()


async def route() -> None:
    """Send the test split through each policy, and print what became of it."""
    rows = read("test")
    always = sum(row["cloud"] == row["label"] for row in rows) / len(rows)
    print("policy               accuracy  sent to cloud  at once  USD per million")
    print(f"{'always the cloud':20} {always:8.1%} {1:14.1%} {1:8.1%} {2000:16,.0f}")
    for name, run in (
        ("2 points", "strict"),
        ("5 in each topic", "topics"),
        ("5 points", "looser"),
    ):
        path = Path("runs") / run / "policy.json"
        if not path.exists():
            print(f"{name:20} no certificate: too few labels in a topic")
            continue
        bundle = Path("runs/looser/bundle" if run == "looser" else "runs/strict/bundle")
        engine = HybridInferenceEngine(bundle, policy=path)
        async with engine:
            found = await engine.predict_many(
                [{"text": row["text"]} for row in rows], concurrency=AT_ONCE
            )
        right = sum(one.prediction == row["label"] for one, row in zip(found, rows, strict=True))
        sent = sum(any(one["tier"] == "cloud" for one in result.attempts) for result in found)
        early = sum("pre_routed" in result.reasons for result in found)
        usd = sum(result.cost for result in found) * 1e6 / len(rows)
        n = len(rows)
        print(f"{name:20} {right / n:8.1%} {sent / n:14.1%} {early / n:8.1%} {usd:16,.0f}")


if __name__ == "__main__":
    with contextlib.chdir(HERE):
        main()
