"""Keys of `edgewise.yaml` that depend on each other."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec
from edgewise.records import ApiKey
from edgewise.spec import load_spec

SPEC = """name: tiny
task: text-classification
model: {{source: model}}
data: {{train: a.csv, calibration: b.csv, test: c.csv}}
tiers:
  cloud: {{endpoint: "http://localhost:1", api_key: {key}}}
"""


def load_key(folder: Path, key: str) -> ApiKey | None:
    path = folder / "edgewise.yaml"
    path.write_text(SPEC.format(key=key), encoding="utf-8")
    cloud = load_spec(path).cloud
    assert cloud is not None
    return cloud.api_key


def test_a_key_is_in_the_environment_or_in_a_file(tmp_path: Path) -> None:
    assert load_key(tmp_path, "{env: CLOUD_KEY}") == ApiKey(env="CLOUD_KEY")
    assert load_key(tmp_path, "{file: /run/key}") == ApiKey(file="/run/key")


@pytest.mark.parametrize("key", ["{env: CLOUD_KEY, file: /run/key}", "{}"])
def test_a_key_in_both_places_or_in_none_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        load_key(tmp_path, key)

    assert "give either `env` or `file`" in caught.value.what
    assert caught.value.where.startswith(f"{tmp_path / 'edgewise.yaml'}:6:")
