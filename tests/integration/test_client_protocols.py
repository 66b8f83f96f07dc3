"""The client of one endpoint speaks each protocol to a real server, and is told the same."""

from pathlib import Path

import pytest
from gateways import run_directory, served

from edgewise import CloudInferenceClient

pytestmark = pytest.mark.integration
LABELS = ("negative", "positive")
TEXT = {"text": "a good film"}


async def test_each_protocol_brings_the_same_answer_by_both_faces(tmp_path: Path) -> None:
    found = {}
    with served(run_directory(tmp_path / "run")) as (_, url):
        for protocol in ("json", "oip", "openai"):
            with CloudInferenceClient(
                url, protocol=protocol, model="default", labels=LABELS
            ) as one:
                found[protocol] = one.predict(TEXT)
            async with CloudInferenceClient(
                url, protocol=protocol, model="default", labels=LABELS
            ) as other:
                found[f"{protocol}, async"] = await other.apredict(TEXT)

    label, confidence = found["json"]["label"], found["json"]["confidence"]
    assert label in LABELS
    assert {name: told["label"] for name, told in found.items()} == dict.fromkeys(found, label)
    for told in found.values():
        assert told["confidence"] == pytest.approx(confidence, abs=1e-4)
        assert told["tries"] == 1
    for name in ("json", "oip"):
        assert found[name]["probabilities"][label] == pytest.approx(confidence, abs=1e-4)
