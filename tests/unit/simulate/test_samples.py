"""Quantiles are exact, in memory as on disk."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewise.errors import StorageError
from edgewise.simulate.samples import Sample

SHARES = (0.0, 0.25, 0.5, 0.95, 0.99, 1.0)
NUMBERS = st.floats(0.0, 1e12) | st.sampled_from([0.0, -0.0, 1.0, 5e-324])


@settings(max_examples=60, deadline=None)
@given(values=st.lists(NUMBERS, min_size=1, max_size=300), most=st.integers(0, 320))
def test_quantiles_are_those_of_numpy_wherever_the_numbers_lie(
    values: list[float], most: int
) -> None:
    array = np.array(values)

    with Sample(in_memory=most) as sample:
        for block in np.array_split(array, 7):
            sample.add(block)
        found = sample.quantiles(SHARES)

    assert found == pytest.approx(np.quantile(array, SHARES).tolist(), rel=1e-12)
    assert sample.n == len(values)
    assert sample.total == pytest.approx(array.sum())


def test_the_mean_of_nothing_is_zero() -> None:
    assert Sample().mean == 0.0


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))

    with Sample(in_memory=1) as sample, pytest.raises(StorageError) as caught:
        sample.add(np.ones(2))

    assert caught.value.what.startswith("no space for the simulation's numbers")
    assert caught.value.where == str(tmp_path / "absent")
    assert "TMPDIR" in caught.value.hint
