"""A child that ends when it should not, seen from its parent."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidModel
from edgewise.profile.compare import RUNNER
from edgewise.profile.spawn import Child, write_inputs
from edgewise.testing.models import tiny_text_bundle

pytestmark = pytest.mark.integration


@pytest.fixture
def child(tmp_path: Path) -> Child:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    inputs = write_inputs(tmp_path, [{"text": "good"}])
    request = {"bundle": str(bundle), "inputs": str(inputs), "threads": 1, "runtime": ""}
    return Child(RUNNER, request)


def test_a_child_that_died_between_two_messages_is_told_by_the_next(child: Child) -> None:
    with child:
        assert child.receive() == {"ready": True}
        assert child.exit_code is None
        child.kill()
        child.send({"chosen": [0]})
        child.send({"chosen": [0]})
        with pytest.raises(InvalidModel) as caught:
            child.receive()

    assert child.exit_code == -9
    assert caught.value.what == "the model's process ended early (killed by signal 9)"
    assert caught.value.hint == "is there enough memory for this model?"


def test_what_a_child_wrote_last_on_stderr_is_part_of_the_error(child: Child) -> None:
    with child:
        child.receive()
        child.send({"chosen": [7]})
        with pytest.raises(InvalidModel) as caught:
            child.receive()

    assert "(exit code 1): IndexError: " in caught.value.what


def test_a_block_that_is_left_early_leaves_no_process(child: Child) -> None:
    with child:
        child.receive()
        pid = child.pid

    assert child.exit_code == -9
    assert not Path(f"/proc/{pid}").exists()
