"""What the gateway adds, holds and survives; load comes from another process on loopback.

Claims: `gateway_added_p50_ms` at most 0.5 and `gateway_added_p99_ms` at most 2, at 500 requests a
second over a direct call in the same run, with policy, metrics and decision log on;
`gateway_requests_per_s_per_core` at least 3000, counted by the seconds of processor time that the
gateway's threads took; `overload_goodput_share` at least 0.9 and `overload_refused_p99_ms` at most
50, at five times what the endpoint can do; `reload_failed_requests` and `sigterm_lost_requests` 0;
`first_token_added_ms` at most 1, the median time to the first piece of a stream over a direct
client with a few streams open, and `first_token_added_at_streams_ms` the same with about a thousand
(the claim's `streams` says how many were, and how many were refused); `ready_s` at most 1.5 and
`rss_bytes` at most 200 MB with the demo's bundle, which is MiniLM's first layer, or the one that
`EDGEWISE_BUNDLE` names (the claim's `subject` says which). `make demo` makes it.

LiteLLM's proxy and MLServer are measured beside it where `LITELLM` and `MLSERVER` name their
programs, each in an environment of its own.

    .venv/bin/python -m benchmarks.gateway
"""

import compileall
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.results import ROOT, claim, write

import edgewise
from edgewise.observe import DecisionLog
from edgewise.records import (
    Policy,
    PrivacyRules,
    Protocol,
    TierKind,
    TierPolicy,
    read_json,
    write_json,
)

DEMO = ROOT / "examples/sentiment/runs/sentiment/bundle"
RUNS = 5
RATE = 500.0
SECONDS = 4.0
SERVICE_MS = 5.0
STREAMS_PER_S = 100.0
STREAM_S = 10.0
"""So that a thousand streams are open at once."""
LABELS = ("negative", "positive")
PEER_RATE = 20.0
"""What every peer holds on a busy machine."""
INFER = '{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["a good film"]}]}'
QUICK = """
from mlserver import MLModel
from mlserver.types import InferenceResponse, ResponseOutput


class Quick(MLModel):
    async def predict(self, payload):
        output = ResponseOutput(name="label", shape=[1], datatype="BYTES", data=["positive"])
        return InferenceResponse(model_name=self.name, outputs=[output])
"""
CHAT = '{"model":"m","messages":[{"role":"user","content":"a good film"}]}'


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def process(command: Sequence[str], ready: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program once it has said that it is ready; end it afterwards."""
    made = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert made.stdout is not None
    try:
        while ready not in (line := made.stdout.readline()):
            if not line:
                raise SystemExit(f"{command[0]} did not start: {made.communicate()[1][-500:]}")
        yield made
    finally:
        made.terminate()
        made.communicate(timeout=30)


def module(name: str, *given: str) -> list[str]:
    return [sys.executable, "-m", name, *given]


def upstream(port: int, service_ms: float = 0.0, *given: str) -> Any:
    told = ("--port", str(port), "--service-ms", str(service_ms), *given)
    return process(module("benchmarks.gateway_upstream", *told), "ready")


def gateway(subject: Path, port: int, *given: str) -> Any:
    return process(module("edgewise", "serve", str(subject), "--port", str(port), *given), "ready")


def load_command(port: int, **given: object) -> list[str]:
    options = [part for key, value in given.items() for part in (f"--{key}", str(value))]
    return module("benchmarks.gateway_load", "--port", str(port), *options)


def load(port: int, **given: object) -> dict[str, Any]:
    done = subprocess.run(load_command(port, **given), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def processor_s(pid: int) -> float:
    """Give the seconds that a process's threads ran, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((one / "schedstat").read_text().split()[0]) for one in tasks) / 1e9


def far_policy(folder: Path, port: int, **given: Any) -> Path:
    tier = TierPolicy(
        name="cloud",
        kind=TierKind.CLOUD,
        rtt_p50_ms=1.0,
        rtt_p95_ms=5.0,
        endpoint=f"http://127.0.0.1:{port}",
        protocol=Protocol.JSON,
        usd_per_request=0.001,
        **given,
    )
    policy = Policy(
        task="text-classification",
        labels=LABELS,
        tiers=(tier,),
        privacy=PrivacyRules(detect=("email", "phone", "card", "iban", "ip")),
        deadline_ms=5000.0,
    )
    write_json(folder / "policy.json", policy)
    return folder / "policy.json"


def added(direct: int, through: int, **given: object) -> tuple[float, float]:
    """Give what a server adds to p50 and p99: the median over interleaved runs."""
    pairs = []
    for _ in range(RUNS):
        one = load(direct, rate=RATE, seconds=SECONDS, connections=32, **given)
        other = load(through, rate=RATE, seconds=SECONDS, connections=32, **given)
        pairs.append((other["p50_ms"] - one["p50_ms"], other["p99_ms"] - one["p99_ms"]))
    return statistics.median(p50 for p50, _ in pairs), statistics.median(p99 for _, p99 in pairs)


def measure_costs(folder: Path, peers: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Measure what the gateway adds, and what one core holds."""
    far, near = free_port(), free_port()
    policy = far_policy(folder, far)
    with upstream(far), gateway(policy, near, "--log", str(folder / "d.db")) as served:
        load(near, seconds=2.0)
        p50_ms, p99_ms = added(far, near)
        per_core = []
        for _ in range(RUNS):
            before_s = processor_s(served.pid)
            done = load(near, seconds=SECONDS, connections=16)
            per_core.append(done["ok"] / (processor_s(served.pid) - before_s))
    rates = {name: one["per_s_per_core"] for name, one in peers.items() if "per_s_per_core" in one}
    p50s = {name: one["p50_ms"] for name, one in peers.items()}
    p99s = {name: one["p99_ms"] for name, one in peers.items()}
    held = round(statistics.median(per_core), 1)
    return [
        claim("gateway_added_p50_ms", round(p50_ms, 3), 0.5, runs=RUNS, peers=p50s),
        claim("gateway_added_p99_ms", round(p99_ms, 3), 2.0, runs=RUNS, peers=p99s),
        claim(
            "gateway_requests_per_s_per_core",
            held,
            3000.0,
            runs=RUNS,
            better="higher",
            peers=rates,
        ),
    ]


def measure_overload(folder: Path) -> list[dict[str, Any]]:
    """Offer five times what an endpoint can do."""
    far, near = free_port(), free_port()
    policy = far_policy(folder, far)
    config = folder / "gateway.yaml"
    config.write_text("admission: {most_in_flight: 16}\n")
    with upstream(far, SERVICE_MS), gateway(policy, near, "--config", str(config)):
        shares, refused_ms = [], []
        for _ in range(3):
            capacity = load(near, seconds=SECONDS, connections=8)["per_s"]
            done = load(near, seconds=SECONDS, connections=64, rate=5 * capacity)
            shares.append(done["per_s"] / capacity)
            refused_ms.append(done["refused_p99_ms"])
    share, slowest = statistics.median(shares), statistics.median(refused_ms)
    return [
        claim("overload_goodput_share", round(min(share, 1.0), 3), 0.9, runs=3, better="higher"),
        claim("overload_refused_p99_ms", round(slowest, 2), 50.0, runs=3),
    ]


def measure_streams(folder: Path) -> list[dict[str, Any]]:
    """Measure how much later the first piece of a stream comes: with few streams, and with many."""
    few = first_tokens(folder, RUNS, rate=50.0, seconds=SECONDS, pieces=8, gap_ms=2.0)
    seconds = 1.5 * STREAM_S
    many = first_tokens(
        folder, 1, rate=STREAMS_PER_S, seconds=seconds, pieces=11, gap_ms=STREAM_S * 100
    )
    one = claim("first_token_added_ms", few["added_ms"], 1.0, runs=RUNS)
    other = claim("first_token_added_at_streams_ms", many["added_ms"], 1.0, runs=1)
    return [{**one, "streams": few["streams"]}, {**other, "streams": many["streams"]}]


def first_tokens(
    folder: Path, runs: int, *, rate: float, seconds: float, pieces: int, gap_ms: float
) -> dict[str, Any]:
    """Give what the gateway adds to the time to the first piece: the median over runs."""
    far, near = free_port(), free_port()
    policy = chat_policy(folder, far)
    config = folder / "streams.yaml"
    config.write_text("admission: {most_in_flight: 4096, lag_ms: 2000}\n")
    options = ("--config", str(config), "--log", str(folder / f"streams{near}.db"))
    told = ("--pieces", str(pieces), "--gap-ms", str(gap_ms))
    added_ms, streams, refused = [], [], 0
    with upstream(far, 0.0, *told), gateway(policy, near, *options):
        stream(near, rate=20.0, seconds=1.0)
        for _ in range(runs):
            direct = stream(far, rate=rate, seconds=seconds)
            through = stream(near, rate=rate, seconds=seconds)
            print({"direct": direct, "through": through})
            if through["failed"] or direct["failed"]:
                raise SystemExit(f"streams failed: {direct}, {through}")
            added_ms.append(through["p50_ms"] - direct["p50_ms"])
            streams.append(through["most_open"])
            refused += through["refused"]
    median_ms = round(statistics.median(added_ms), 3)
    return {"added_ms": median_ms, "streams": {"most": max(streams), "refused": refused}}


def stream(port: int, **given: object) -> dict[str, Any]:
    options = [part for key, value in given.items() for part in (f"--{key}", str(value))]
    command = module("benchmarks.gateway_streams", "--port", str(port), *options)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def chat_policy(folder: Path, port: int) -> Path:
    path = far_policy(folder, port, model="m")
    told = read_json(Policy, path)
    tiers = (replace(told.tiers[0], protocol=Protocol.OPENAI),)
    policy = replace(told, task="text-generation", labels=(), tiers=tiers, deadline_ms=60_000.0)
    write_json(folder / "chat.json", policy)
    return folder / "chat.json"


def measure_signals(folder: Path) -> list[dict[str, Any]]:
    """Reload and stop under load."""
    far, near = free_port(), free_port()
    policy, log = far_policy(folder, far), folder / "signals.db"
    with upstream(far):
        with gateway(policy, near, "--log", str(log)) as served:
            command = load_command(near, seconds=4.0, rate=200.0)
            asked = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for turn in range(6):
                time.sleep(0.5)
                write_json(policy, policy_with(policy, 5000.0 + turn))
                served.send_signal(signal.SIGHUP)
            reloaded = json.loads(asked.communicate()[0])
            asked = subprocess.Popen(
                load_command(near, seconds=1.5), stdout=subprocess.PIPE, text=True
            )
            time.sleep(1.0)
            served.send_signal(signal.SIGTERM)
            served.wait(30)
            stopped = json.loads(asked.communicate()[0])
        with DecisionLog(log) as kept:
            missing = reloaded["ok"] + stopped["ok"] - kept.count()
    failed = reloaded["failed"] + reloaded["refused"]
    return [
        claim("reload_failed_requests", failed, 0, runs=1),
        claim("sigterm_lost_requests", max(0, missing), 0, runs=1),
    ]


def policy_with(path: Path, deadline_ms: float) -> Policy:
    return replace(read_json(Policy, path), deadline_ms=deadline_ms)


def measure_start(_folder: Path) -> list[dict[str, Any]]:
    """Measure how soon it is ready, and what it holds then."""
    named = os.environ.get("EDGEWISE_BUNDLE")
    bundle = Path(named) if named else DEMO
    if not bundle.exists():
        raise SystemExit(f"{bundle} is not there; `make demo` makes the demo's")
    # As it is where it was installed: compiled.
    compileall.compile_dir(Path(edgewise.__file__).parent, quiet=1)
    taken_s, held = [], []
    for _ in range(RUNS):
        start_s = time.perf_counter()
        with gateway(bundle, 0) as served:
            taken_s.append(time.perf_counter() - start_s)
            status = Path(f"/proc/{served.pid}/status").read_text(encoding="utf-8")
            line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
            held.append(int(line.split()[1]) * 1024)
    subject = {"subject": bundle.name if named else "the demo's bundle"}
    ready = claim("ready_s", round(statistics.median(taken_s), 3), 1.5, runs=RUNS)
    rss = claim("rss_bytes", int(statistics.median(held)), 200_000_000, runs=RUNS)
    return [{**ready, **subject}, {**rss, **subject}]


def measure_peers(folder: Path) -> dict[str, dict[str, float]]:
    """Measure those peers that are installed, by the same load."""
    found: dict[str, dict[str, float]] = {}
    for name, measure in (("litellm", measure_litellm), ("mlserver", measure_mlserver)):
        program = os.environ.get(name.upper())
        if program:
            found[name] = measure(folder, program)
        else:
            print(f"{name.upper()} names no program: {name} is not measured")
    return found


def measure_litellm(folder: Path, program: str) -> dict[str, float]:
    """Measure LiteLLM's proxy in front of the same endpoint."""
    far, near = free_port(), free_port()
    entry = {"model": "openai/m", "api_base": f"http://127.0.0.1:{far}/v1", "api_key": "sk-none"}
    config = {
        "model_list": [{"model_name": "m", "litellm_params": entry}],
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    (folder / "litellm.yaml").write_text(json.dumps(config))
    command = [program, "--config", str(folder / "litellm.yaml"), "--port", str(near)]
    with upstream(far):
        return measure_peer(command, far, near, path="/v1/chat/completions", body=CHAT)


def measure_mlserver(folder: Path, program: str) -> dict[str, float]:
    """Measure MLServer with a model that answers at once; it is the endpoint, and no proxy."""
    place = folder / "mlserver"
    place.mkdir(exist_ok=True)
    far, near = free_port(), free_port()
    (place / "quick.py").write_text(QUICK)
    model = {"name": "m", "implementation": "quick.Quick"}
    (place / "model-settings.json").write_text(json.dumps(model))
    ports = {"http_port": near, "grpc_port": free_port(), "metrics_port": free_port()}
    (place / "settings.json").write_text(json.dumps({**ports, "parallel_workers": 0}))
    with upstream(far):
        return measure_peer(
            [program, "start", str(place)], far, near, path="/v2/models/m/infer", body=INFER
        )


def measure_peer(command: Sequence[str], far: int, near: int, **given: str) -> dict[str, float]:
    """Give what a peer adds to a direct call, at a rate that it holds, and what a core holds."""
    served = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(near, served)
        time.sleep(2.0)
        load(near, seconds=2.0, **given)
        one = load(far, rate=PEER_RATE, seconds=SECONDS, **given)
        other = load(near, rate=PEER_RATE, seconds=SECONDS, **given)
        before_s = processor_s(served.pid)
        done = load(near, seconds=SECONDS, connections=4, **given)
        per_core = done["ok"] / (processor_s(served.pid) - before_s)
    finally:
        served.terminate()
        served.wait(30)
    if not done["ok"]:
        raise SystemExit(f"{command[0]} answered nothing: {done}")
    return {
        "p50_ms": round(other["p50_ms"] - one["p50_ms"], 3),
        "p99_ms": round(other["p99_ms"] - one["p99_ms"], 3),
        "per_s_per_core": round(per_core, 1),
    }


def _await_port(port: int, served: subprocess.Popen[bytes]) -> None:
    for _ in range(1800):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        if served.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("the peer did not start")


def main() -> None:
    """Measure, print and keep."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        peers = measure_peers(folder)
        for measure in (measure_start, measure_signals, measure_overload, measure_streams):
            write("gateway", measure(folder), keep=True)
        write("gateway", measure_costs(folder, peers), keep=True)


if __name__ == "__main__":
    main()
