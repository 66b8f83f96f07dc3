"""Whatever bytes a stranger sends, the parsers keep their laws; atheris looks longer."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzzed import HTTP_SEEDS, TENSOR_SEEDS, check_http, check_tensors, handed_on
from hypothesis import given, settings
from hypothesis import strategies as st

TESTS = Path(__file__).parents[1]
RUNS = 20_000


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Change bytes that are right in a few places, or join the halves of two."""
    found = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(found)))
        length = draw(st.integers(0, 8))
        part = draw(st.one_of(st.binary(max_size=6), st.sampled_from(PARTS)))
        found[at : at + length] = part
    other = draw(st.sampled_from(seeds))
    at = draw(st.integers(0, len(other)))
    return bytes(found) + other[at:] if draw(st.booleans()) else bytes(found)


PARTS = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"content-length: 0\r\n",
    b"content-length: 7\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: identity\r\n",
    b"GET / HTTP/1.1\r\n",
    b"ffffffffffffffff",
    b"2147483647",
    b"0",
    b"-1",
    b"[",
    b"{",
    b"null",
    b"\xff\xff\xff\xff",
)


@settings(max_examples=300, deadline=None)
@given(mutated(HTTP_SEEDS))
def test_http_is_read_in_one_way_however_it_is_cut(data: bytes) -> None:
    check_http(data)


@settings(max_examples=300, deadline=None)
@given(mutated(TENSOR_SEEDS))
def test_tensors_are_read_whole_or_refused(data: bytes) -> None:
    check_tensors(data)


@pytest.mark.parametrize("data", HTTP_SEEDS)
def test_each_http_seed_keeps_the_laws(data: bytes) -> None:
    check_http(data)


@pytest.mark.parametrize("data", TENSOR_SEEDS)
def test_each_tensor_seed_keeps_the_laws(data: bytes) -> None:
    check_tensors(data)


def test_the_seeds_reach_the_application() -> None:
    found = [len(handed_on([data])[0]) for data in HTTP_SEEDS]

    assert found == [2, 1, 2, 1, 0, 1, 1, 1]


@pytest.mark.heavy
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["http", "tensors"])
def test_atheris_breaks_no_law(name: str, tmp_path: Path) -> None:
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=1024", "-timeout=20"]
    command = [sys.executable, str(TESTS / "fuzzing.py"), name, str(tmp_path), *options]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr
    assert len(list(tmp_path.iterdir())) > 12  # it found new ways through the code
