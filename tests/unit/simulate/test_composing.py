"""What a simulation is made of: a project file is read as the policy that is made of it."""

from pathlib import Path

from edgewise.records import OnVoid
from edgewise.simulate.composing import read_policy

PROJECT = """tiers:
  edge: {service: {base_ms: 10}}
  cloud: {usd_per_request: 0.01}
offline: {max_count: 7}
audit: {on_void: cloud_only}
"""


def test_a_project_file_stores_requests_and_heeds_a_void_certificate(tmp_path: Path) -> None:
    path = tmp_path / "edgewise.yaml"
    path.write_text(PROJECT)

    policy = read_policy(path)

    assert policy.offline is not None
    assert policy.offline.max_count == 7
    assert policy.on_void is OnVoid.CLOUD_ONLY
    path.write_text(PROJECT.replace("  cloud: {usd_per_request: 0.01}\n", ""))
    assert read_policy(path).audit is None
