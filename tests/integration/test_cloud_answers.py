"""The cloud's answers on a split come from a real endpoint, in chunks that are paid for once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving import start, stop

from edgewise.errors import InvalidSpec, RemoteError
from edgewise.pipeline.answers import CloudCaller
from edgewise.pipeline.cache import Cache
from edgewise.records import (
    ApiKey,
    CloudTier,
    DataSpec,
    Example,
    ModelSpec,
    ProjectSpec,
    Protocol,
    Split,
    Task,
    silent,
)
from edgewise.testing.models import tiny_text_bundle
from edgewise.testing.route import FakeEndpoint

pytestmark = pytest.mark.integration

LABELS = ("negative", "positive")
TEXTS = [f"{'good' if k % 3 else 'bad'} number {k}" for k in range(300)]
RIGHT = tuple("positive" if k % 3 else "negative" for k in range(300))
SPLIT = Split(name="test", examples=tuple(Example(text, "positive") for text in TEXTS), sha256="ab")


SPEC = ProjectSpec(
    name="tiny",
    task=Task.TEXT_CLASSIFICATION,
    model=ModelSpec(source=Path("model")),
    data=DataSpec(train=Path("a"), calibration=Path("b"), test=Path("c")),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_bundle(tmp_path_factory.mktemp("cloud") / "tiny")


@pytest.fixture(scope="module")
def url(bundle: Path) -> Iterator[str]:
    process, where = start(bundle)
    yield where
    stop(process)


class Keys:
    """Gives one secret, or none, and knows for which key it was asked."""

    def __init__(self, secret: str = "") -> None:
        self.secret = secret
        self.asked: list[ApiKey] = []

    def __call__(self, key: ApiKey) -> str:
        self.asked.append(key)
        if not self.secret:
            raise InvalidSpec("the variable is not set")
        return self.secret


def caller(folder: Path, endpoint: str, keys: Keys, api_key: ApiKey | None = None) -> CloudCaller:
    cloud = CloudTier(endpoint=endpoint, api_key=api_key)
    return CloudCaller(replace(SPEC, cloud=cloud), cloud, LABELS, Cache(folder), keys)


def test_every_row_is_answered_in_order_and_progress_is_told(tmp_path: Path, url: str) -> None:
    told: list[tuple[str, int, int]] = []

    found = caller(tmp_path, url, Keys()).labels_for(SPLIT, lambda *step: told.append(step))

    assert found == RIGHT
    assert told == [("cloud on test", 256, 300), ("cloud on test", 300, 300)]


def test_answers_that_were_paid_for_are_not_asked_again(tmp_path: Path, bundle: Path) -> None:
    process, url = start(bundle)
    try:
        first = caller(tmp_path, url, Keys()).labels_for(SPLIT, lambda *_: None)
    finally:
        stop(process)

    second = caller(tmp_path, url, Keys()).labels_for(SPLIT, lambda *_: None)

    assert second == first == RIGHT


def test_a_failing_endpoint_is_an_error_of_its_own_and_nothing_is_kept(
    tmp_path: Path, bundle: Path
) -> None:
    process, url = start(bundle, "--fail-rate", "1")
    try:
        with pytest.raises(RemoteError) as caught:
            caller(tmp_path, url, Keys()).labels_for(SPLIT, lambda *_: None)
    finally:
        stop(process)

    assert "HTTP 503" in caught.value.what
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("absolute", [False, True])
def test_a_keys_file_is_relative_to_the_projects(tmp_path: Path, url: str, absolute: bool) -> None:
    keys, project = Keys("hunter2"), tmp_path / "project"
    file = tmp_path / "elsewhere" if absolute else Path("keys/cloud")
    cloud = CloudTier(endpoint=url, api_key=ApiKey(file=str(file)))
    spec = replace(SPEC, cloud=cloud, path=project / "edgewise.yaml")

    CloudCaller(spec, cloud, LABELS, Cache(tmp_path / "cache"), keys).labels_for(SPLIT, silent)

    assert set(keys.asked) == {ApiKey(file=str(project / file))}


def test_what_was_answered_before_an_endpoint_failed_is_paid_for_once(tmp_path: Path) -> None:
    one = {"label": "positive", "probabilities": {"negative": 0.1, "positive": 0.9}}
    says, split = {"predictions": [one] * 16}, replace(SPLIT, examples=SPLIT.examples[:256])
    with FakeEndpoint([*[(200, says)] * 10, (500, {})]) as endpoint:
        cloud = CloudTier(endpoint=endpoint.url, protocol=Protocol.JSON)
        spec = replace(SPEC, cloud=cloud)
        asked = CloudCaller(spec, cloud, LABELS, Cache(tmp_path), Keys())
        with pytest.raises(RemoteError):
            asked.labels_for(split, silent)
        endpoint.script[:] = [(200, says)]
        before = len(endpoint.bodies)
        found = asked.labels_for(split, silent)

    assert found == ("positive",) * 256
    # Of the 10 batches that were answered, 3 at the most were on their way when one failed.
    assert len(endpoint.bodies) - before <= 16 - 7


def test_the_key_is_read_where_the_spec_says_and_only_when_a_call_is_made(
    tmp_path: Path, url: str
) -> None:
    keys, key = Keys("hunter2"), ApiKey(env="CLOUD_KEY")

    for _ in range(2):
        caller(tmp_path, url, keys, key).labels_for(SPLIT, lambda *_: None)

    # Once for each of the two chunks, and not again for what is kept.
    assert keys.asked == [key, key]
    assert all(b"hunter2" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_key_that_can_not_be_read_ends_the_call(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidSpec):
        caller(tmp_path, url, Keys(), ApiKey(env="CLOUD_KEY")).labels_for(SPLIT, lambda *_: None)
