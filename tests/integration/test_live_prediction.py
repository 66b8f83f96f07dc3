"""The simulator's word is held against a gateway and a cloud that run."""

from pathlib import Path

import numpy as np
import pytest
from gateways import served

from edgewise.records import Policy, Protocol, TierKind, TierPolicy, write_json
from edgewise.runtimes import open_bundle
from edgewise.testing.live import Sample, hold, measure_pieces, predict, texts_for, write_trace
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.traffic import Answered, Asked, send

pytestmark = pytest.mark.integration


def samples(n: int, offset: int) -> list[Sample]:
    """Give texts of different lengths: the edge is sure of three in ten."""
    found = []
    for number in range(offset, offset + n):
        words = ["film"] * (number % 40) + (["good", "great"] * 2 if number % 10 < 3 else ["a"])
        found.append(Sample(text=" ".join(words), length=len(words) + 2))
    return found


@pytest.mark.slow
def test_a_live_run_is_near_what_was_predicted(tmp_path: Path) -> None:
    run = tmp_path / "run"
    model = open_bundle(tiny_text_bundle(run / "bundle"))
    model.close()
    far = tiny_text_bundle(tmp_path / "cloud")
    moments_s = np.cumsum(np.random.default_rng(0).gamma(0.3, 1 / 0.3 / 15.0, 300)).tolist()
    with served(far, "--delay-ms", "150,450") as (_, cloud):
        tiers = (
            TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
            TierPolicy(name="cloud", kind=TierKind.CLOUD, endpoint=cloud, protocol=Protocol.JSON),
        )
        policy = Policy(
            task="text-classification",
            labels=model.labels,
            tiers=tiers,
            bundle_sha256=model.sha256,
        )
        write_json(run / "policy.json", policy)
        with served(run) as (_, gateway):
            pieces = measure_pieces(gateway, cloud, samples(200, 0), calls=120, gap_ms=10.0)
            texts = texts_for([float(k % 97) for k in range(300)], samples(300, 200))
            asked = [
                Asked(text=one.text, at_s=at_s, private=number % 10 == 0)
                for number, (one, at_s) in enumerate(zip(texts, moments_s, strict=True))
            ]
            write_trace(tmp_path / "trace.csv", asked, texts)

            predicted = predict(tmp_path, run / "policy.json", tmp_path / "trace.csv", pieces)
            held = hold(predicted, send(gateway, asked))

    assert held.requests == 300
    # About 63 % go on to the cloud, so both quantiles are those of its round trips, which are long
    # enough to stand above what else the machine does.
    assert held.errors["p50"] < 0.5
    assert held.errors["p95"] < 0.5
    assert held.share_error < 0.1
    assert held.live_share["edge"] == pytest.approx(0.37, abs=0.05)


def test_errors_are_shares_of_what_was_measured() -> None:
    answers = [
        Answered(status=200, latency_ms=10.0, location="edge"),
        Answered(status=200, latency_ms=20.0, location="cloud_fallback"),
        Answered(status=503, latency_ms=1.0),
    ]
    predicted = {"latency_ms": {"p50": 12.0, "p95": 19.5}, "share": {"edge": 0.5, "cloud": 0.5}}

    held = hold(predicted, answers)

    assert held.live_ms == {"p50": 15.0, "p95": pytest.approx(19.5)}
    assert held.errors == {"p50": pytest.approx(0.2), "p95": pytest.approx(0.0)}
    assert held.live_share == dict.fromkeys(("cloud", "edge", "none"), pytest.approx(1 / 3))
    assert held.share_error == pytest.approx(1 / 3)


def test_longer_inputs_of_a_trace_get_longer_texts() -> None:
    found = texts_for([900.0, 10.0, 500.0, 20.0], samples(40, 0))

    lengths = [one.length for one in found]
    assert lengths[1] < lengths[3] < lengths[2] < lengths[0]
