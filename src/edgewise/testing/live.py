"""Holds a simulation against a live run: a gateway and its cloud, measured in pieces beforehand.

`measure_pieces` asks each tier alone for other inputs than those that will be predicted, one after
the other. `predict` gives what `edgewise simulate` says of a trace with these pieces. `hold`
compares that with the answers of the same trace sent to the gateway by `traffic.send`.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewise.profile import describe_target
from edgewise.profile.measure import buckets, percentile
from edgewise.records import Profile, write_json
from edgewise.testing.traffic import Answered, Asked, send

_PARTS = 10
_WARM_UP = 3
_BURST = 16
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An input to measure with, and its length as the task counts it."""

    text: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What was measured of each tier alone. Made by `measure_pieces`, read by `predict`."""

    edge: Profile
    """How long the edge and its gateway are busy with an answer."""
    gateway_ms: tuple[float, float]
    """What a caller waits beyond that, p50 and p95."""
    cloud: Profile
    """What its server takes for a request."""
    rtt_ms: tuple[float, ...]
    """What a call of the cloud takes beyond that."""
    confidence: tuple[float, ...]
    """Of the edge's answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A prediction against what was measured. Made by `hold`."""

    requests: int
    predicted_ms: dict[str, float]
    live_ms: dict[str, float]
    predicted_share: dict[str, float]
    live_share: dict[str, float]
    late_p99_ms: float
    """How much later than its moment a request was sent: more says that the machine was busy."""

    @property
    def errors(self) -> dict[str, float]:
        """Give the error of each quantile as a share of what was measured."""
        return {name: abs(self.predicted_ms[name] / ms - 1) for name, ms in self.live_ms.items()}

    @property
    def share_error(self) -> float:
        """Give the largest error of a tier's share."""
        names = {*self.predicted_share, *self.live_share}
        return max(
            abs(self.predicted_share.get(name, 0.0) - self.live_share.get(name, 0.0))
            for name in names
        )


def measure_pieces(
    gateway: str, cloud: str, samples: Sequence[Sample], *, calls: int, gap_ms: float
) -> Pieces:
    """Ask the edge through its gateway, then the cloud, one request after the other.

    They are asked in ten parts by turns, so that all see the same machine: one whose processor is
    shared is slower for seconds, and what is measured within seconds is then as slow.
    The edge is also asked in bursts, which tell how long it is busy with a request: the gateway's
    own work is part of that, and a model that is kept busy is faster than one that rests. Times of
    single answers are scaled to it; what a caller waits beyond that occupies nobody.

    Parameters
    ----------
    calls
        How many of the samples the cloud is asked for.
    gap_ms
        Mean pause between requests: a model that rests between two requests is slower than one
        that does not.
    """
    near: list[tuple[Sample, Answered]] = []
    far: list[tuple[Sample, Answered]] = []
    bursts: list[Answered] = []
    size = len(samples) // _PARTS
    for start in range(0, size * _PARTS, size):
        part = samples[start : start + size]
        near += _ask_in_turn(gateway, part, location="edge", gap_ms=gap_ms)
        bursts += _ask_in_bursts(gateway, part)
        far += _ask_in_turn(cloud, part[: calls // _PARTS], location="", gap_ms=gap_ms)
    if any(one.status != 200 for one in (*bursts, *(one for _, one in (*near, *far)))):
        raise ValueError("a request was refused while the pieces were measured")
    alone_ms = np.array([one.engine_ms for _, one in near])
    busy_ms = alone_ms * (_busy_ms(bursts) / alone_ms.mean())
    waited_ms = np.array([one.latency_ms for _, one in near])
    beyond_ms = np.sort(np.maximum(0.0, waited_ms - busy_ms)).tolist()
    return Pieces(
        edge=_profile([sample.length for sample, _ in near], busy_ms.tolist()),
        gateway_ms=(percentile(beyond_ms, 0.50), percentile(beyond_ms, 0.95)),
        cloud=_profile([sample.length for sample, _ in far], [one.engine_ms for _, one in far]),
        rtt_ms=tuple(max(0.0, one.latency_ms - one.engine_ms) for _, one in far),
        confidence=tuple(one.confidence for _, one in near),
    )


def _ask_in_turn(
    url: str, samples: Sequence[Sample], *, location: str, gap_ms: float
) -> list[tuple[Sample, Answered]]:
    """Ask for one after the other; before them some of them, to warm connections up."""
    asked = [Asked(text=one.text, location=location) for one in samples]
    answers = send(url, [*asked[:_WARM_UP], *asked], gap_ms=gap_ms)[_WARM_UP:]
    return list(zip(samples, answers, strict=True))


def _ask_in_bursts(gateway: str, samples: Sequence[Sample]) -> list[Answered]:
    """Ask the edge for so many at once, and rest until they are surely answered."""
    whole = len(samples) // _BURST * _BURST
    asked = [
        Asked(text=one.text, at_s=number // _BURST * _PAUSE_S, location="edge")
        for number, one in enumerate(samples[:whole])
    ]
    return send(gateway, asked)


def _busy_ms(bursts: Sequence[Answered]) -> float:
    """Give the mean time that a request of a burst occupies its server."""
    ends_ms = np.array([one.late_ms + one.latency_ms for one in bursts]).reshape(-1, _BURST)
    starts_ms = np.array([one.late_ms for one in bursts]).reshape(-1, _BURST)
    return float((ends_ms.max(axis=1) - starts_ms.min(axis=1)).mean()) / _BURST


def predict(folder: Path, policy: Path, trace: Path, pieces: Pieces) -> Any:
    """Give what `edgewise simulate --json` says of a trace; its files are written to a folder."""
    write_json(folder / "edge.json", pieces.edge)
    write_json(folder / "cloud.json", pieces.cloud)
    _write_csv(folder / "network.csv", ("rtt_ms",), [(ms,) for ms in pieces.rtt_ms])
    # Who is right is not compared: only the confidence is read from this table.
    columns = ("edge_confidence", "edge_correct", "cloud_correct")
    _write_csv(folder / "answers.csv", columns, [(one, 1, 1) for one in pieces.confidence])
    command = [sys.executable, "-m", "edgewise", "simulate", "--json"]
    command += ["--policy", str(policy), "--trace", str(trace)]
    command += ["--answers", str(folder / "answers.csv"), "--network", str(folder / "network.csv")]
    for tier in ("edge", "cloud"):
        command += ["--profile", f"{tier}={folder / tier}.json"]
        command += ["--what-if", f"tiers.{tier}.servers=1"]
    for name, ms in zip(("p50", "p95"), pieces.gateway_ms, strict=True):
        command += ["--what-if", f"tiers.edge.rtt_{name}_ms={ms:.6f}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (folder / "prediction.json").write_text(done.stdout, encoding="utf-8")
    return json.loads(done.stdout)


def hold(predicted: Any, answers: Sequence[Answered]) -> Held:
    """Compare a prediction with the answers that a gateway gave."""
    n = len(answers)
    # Quantiles are of answered requests, on both sides.
    latency_ms = sorted(one.latency_ms for one in answers if one.status == 200)
    where = [_tier(one) for one in answers]
    quantiles = {"p50": 0.50, "p95": 0.95}
    return Held(
        requests=n,
        predicted_ms={name: predicted["latency_ms"][name] for name in quantiles},
        live_ms={name: percentile(latency_ms, share) for name, share in quantiles.items()},
        predicted_share=dict(predicted["share"]),
        live_share={name: where.count(name) / n for name in sorted(set(where))},
        late_p99_ms=percentile(sorted(one.late_ms for one in answers), 0.99),
    )


def texts_for(lengths: Sequence[float], samples: Sequence[Sample]) -> list[Sample]:
    """Give each request of a trace a text: the longer its input, the longer the text.

    Both are ranked, so texts are used about equally often, and a trace's run of long inputs is one
    of long texts.
    """
    ordered = sorted(samples, key=lambda one: one.length)
    ranks = np.argsort(np.argsort(np.array(lengths), kind="stable"), kind="stable")
    places = (ranks + 0.5) / len(lengths) * len(ordered)
    return [ordered[int(place)] for place in places.tolist()]


def write_trace(path: Path, requests: Sequence[Asked], samples: Sequence[Sample]) -> None:
    """Write the trace of requests, each with the length of its own text."""
    rows = [
        (one.at_s, sample.length, 0, int(one.private))
        for one, sample in zip(requests, samples, strict=True)
    ]
    _write_csv(path, ("t_s", "input_tokens", "output_tokens", "privacy"), rows)


def _tier(one: Answered) -> str:
    if one.status != 200:
        return "none"
    return one.location.partition("_")[0]


def _profile(lengths: Sequence[int], times_ms: Sequence[float]) -> Profile:
    ordered = sorted(times_ms)
    return Profile(
        bundle_sha256="",
        target=describe_target(1, "onnxruntime"),
        n=len(ordered),
        cold_start_ms=0.0,
        load_ms=0.0,
        p50_ms=percentile(ordered, 0.50),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99),
        buckets=buckets(list(zip(lengths, times_ms, strict=False))),
        peak_memory_bytes=0,
        size_bytes=0,
    )


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
