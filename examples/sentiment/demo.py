"""The main job on real input: build both models, certify, route, cut the cloud off, bring it back.

Run it by `make demo`. Everything that it prints was measured while it ran.
"""

import asyncio
import csv
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prepare import prepare

from edgewise import HybridInferenceEngine
from edgewise.cli.show import table
from edgewise.tasks import wilson_interval

HERE = Path(__file__).parent
RUNS = HERE / "runs"
PORT = "8471"
USD_PER_CALL = 0.002
PRIVATE_EVERY = 10
AT_ONCE = 4
CALLS_TIMED = 300
CUT_OFF_REQUESTS = 200


class Cloud:
    """The larger model in a process of its own, behind a socket and a realistic delay."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server and wait until it says that it is ready."""
        command = [
            sys.executable,
            "-m",
            "edgewise",
            "serve",
            str(RUNS / "cloud/bundle"),
            "--port",
            PORT,
        ]
        command += ["--delay-ms", "60,180"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("ready"):
            raise SystemExit("the cloud's server did not start")

    def stop(self) -> None:
        """Stop the server; what is under way is cut."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass(frozen=True)
class Row:
    """One request of the test split, and what the right answer is."""

    text: str
    label: str
    private: bool


def main() -> None:
    """Do the whole demo and print its story."""
    started = time.perf_counter()
    prepare(HERE)
    heading("1. The cloud's model: the full encoder in float, with a trained head")
    edgewise("run", "cloud.yaml", "--out", "runs/cloud", quiet=True)
    cloud = Cloud()
    try:
        cloud.start()
        heading("2. The edge's bundle, its profile, certificate and plan")
        edgewise("run", "edgewise.yaml", "--out", "runs/sentiment")
        edgewise("verify", "runs/sentiment")
        asyncio.run(route(cloud))
    finally:
        cloud.stop()
    heading(f"Done in {time.perf_counter() - started:.0f} s. The report, with plots:")
    print(f"  {(RUNS / 'sentiment/report.html').relative_to(HERE.parent.parent)}")


def heading(text: str) -> None:
    """Print a heading at once, so that output and progress stay in order."""
    print(f"\n\033[1m{text}\033[0m\n" if sys.stdout.isatty() else f"\n{text}\n", flush=True)


def edgewise(*arguments: str, quiet: bool = False) -> None:
    """Call the command line as a user would."""
    command = [sys.executable, "-m", "edgewise", *arguments]
    done = subprocess.run(
        command, cwd=HERE, stdout=subprocess.DEVNULL if quiet else None, check=False
    )
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def read_rows() -> list[Row]:
    """Read the test split; every tenth request carries an e-mail address or a phone number."""
    with (HERE / "data/test.csv").open(encoding="utf-8", newline="") as file:
        found = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    rows = []
    for number, (text, label) in enumerate(found):
        contact = ("Write to anna.keller@example.org", "Call +49 30 901820")[number // 10 % 2]
        private = number % PRIVATE_EVERY == 0
        rows.append(Row(f"{text} {contact}" if private else text, label, private))
    return rows


async def route(cloud: Cloud) -> None:
    """Route the test split through the engine, then cut the cloud off and bring it back."""
    rows = read_rows()
    run = json.loads((RUNS / "sentiment/run.json").read_text())
    heading(f"3. {len(rows):,} real requests through the engine, {AT_ONCE} at a time")
    policy = RUNS / "sentiment/policy.json"
    async with HybridInferenceEngine(policy=policy) as engine:
        near = await ask(engine, rows, "edge")
        timed = [row for row in rows if not row.private][:CALLS_TIMED]
        far = await ask(engine, timed, "cloud")
        hybrid = await ask(engine, rows, None)
        show_table(run, rows, near, far, hybrid)
        show_privacy(rows, hybrid)
        show_promise(run, hybrid)
        heading("4. The cloud is cut off, and comes back")
        await show_outage(engine, cloud, [row for row in rows if not row.private])


async def ask(engine: HybridInferenceEngine, rows: Sequence[Row], where: str | None) -> list[Any]:
    """Send rows through the engine, a few at once, in order."""
    gate = asyncio.Semaphore(1 if where == "edge" else AT_ONCE)

    async def one(row: Row) -> Any:
        async with gate:
            return await engine.predict({"text": row.text}, force_location=where)

    return list(await asyncio.gather(*(one(row) for row in rows)))


def show_table(
    run: dict[str, Any], rows: Sequence[Row], near: list[Any], far: list[Any], hybrid: list[Any]
) -> None:
    """Print edge alone, cloud alone and the hybrid, side by side."""
    quality = run["quality"]
    lines = []
    for name, results, right, n in (
        ("edge alone", near, count_right(rows, near), len(rows)),
        ("cloud alone", far, round(quality["cloud"] * quality["n"]), quality["n"]),
        ("hybrid", hybrid, count_right(rows, hybrid), len(rows)),
    ):
        low, high = wilson_interval(right, n)
        latency = sorted(result.latency_ms for result in results)
        sent = sum(any(a["tier"] == "cloud" for a in result.attempts) for result in results)
        cost = sum(result.cost for result in results) / len(results) * 1e6
        lines.append(
            (
                name,
                f"{right / n:.1%}",
                f"{low:.1%} – {high:.1%}",
                f"{statistics.median(latency):.1f}",
                f"{latency[int(0.95 * len(latency))]:.1f}",
                f"{cost:,.0f}",
                f"{sent / len(results):.1%}",
            )
        )
    header = (
        "",
        "accuracy",
        "95% interval",
        "p50 ms",
        "p95 ms",
        "USD per million",
        "sent to cloud",
    )
    print(table(header, lines))
    print(
        f"\n(cloud alone: accuracy on the {quality['n']:,} test rows, latency of {len(far)} calls)"
    )


def count_right(rows: Sequence[Row], results: Sequence[Any]) -> int:
    """Count answers that equal the label."""
    return sum(row.label == result.prediction for row, result in zip(rows, results, strict=True))


def show_privacy(rows: Sequence[Row], hybrid: Sequence[Any]) -> None:
    """Say what privacy kept home."""
    private = [result for row, result in zip(rows, hybrid, strict=True) if row.private]
    left = sum(any(a["tier"] != "edge" for a in result.attempts) for result in private)
    print(
        f"privacy: {len(private)} requests held an e-mail address or a phone number; "
        f"{left} of them left the device"
    )


def show_promise(run: dict[str, Any], hybrid: Sequence[Any]) -> None:
    """Hold the certificate against the test split."""
    certificate, quality = run["certificate"], run["quality"]
    lost = quality["cloud"] - quality["hybrid"]
    print(
        f"certificate: {certificate['state']}; at {1 - certificate['delta']:.0%} confidence "
        f"the hybrid loses at most {certificate['alpha']:.1%} against the cloud "
        f"(n = {certificate['n']:,})\n"
        f"test split:  it loses {lost:.1%} (n = {quality['n']:,}), "
        f"deferring {quality['deferral_rate']:.1%}"
    )
    reasons = Counter(reason for result in hybrid for reason in result.reasons)
    print("reasons:     " + ", ".join(f"{name} {count}" for name, count in reasons.most_common(6)))


async def show_outage(engine: HybridInferenceEngine, cloud: Cloud, rows: Sequence[Row]) -> None:
    """Kill the cloud's server, show that answers go on, start it again and wait for the engine."""
    cloud.stop()
    dark = await ask(engine, rows[:CUT_OFF_REQUESTS], None)
    right = count_right(rows[:CUT_OFF_REQUESTS], dark)
    latency = sorted(result.latency_ms for result in dark)
    places = ", ".join(f"{name} {n}" for name, n in Counter(r.location for r in dark).most_common())
    print(
        f"cut off:  {len(dark)} of {len(dark)} answered ({places}), "
        f"{right / len(dark):.1%} right, p95 {latency[int(0.95 * len(latency))]:.1f} ms"
    )
    cloud.start()
    started = time.perf_counter()
    tried = 0
    for row in rows[CUT_OFF_REQUESTS:]:
        tried += 1
        result = await engine.predict({"text": row.text})
        if result.location == "cloud_fallback":
            break
    print(
        f"back:     the cloud answers again {time.perf_counter() - started:.1f} s "
        f"and {tried} requests later"
    )


if __name__ == "__main__":
    main()
