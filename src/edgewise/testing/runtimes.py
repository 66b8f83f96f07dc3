"""The laws of `Runtime` and `Session`: subclass `RuntimeLaws` to hold a runtime against them."""

# ruff: noqa: D102 - a law's name is its sentence

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgewise.errors import InvalidData, InvalidModel
from edgewise.runtimes import Runtime

Tensors = dict[str, NDArray[np.generic]]


class RuntimeLaws:
    """What every runtime does.

    A subclass gives three fixtures: `runtime`; `model`, the path of a model in its format, with an
    output that depends on the inputs; and `inputs`, tensors for all of its inputs and no other.
    """

    def test_version_is_told(self, runtime: Runtime) -> None:
        assert runtime.version()[0].isdigit()

    def test_session_names_its_inputs_and_outputs(
        self, runtime: Runtime, model: Path, inputs: Tensors
    ) -> None:
        session = runtime.load(model)

        found = session.run(inputs)

        assert set(session.input_names) == set(inputs)
        assert len(session.input_shapes) == len(session.input_names)
        assert tuple(found) == session.output_names
        session.close()

    def test_same_input_gives_same_output_from_any_thread(
        self, runtime: Runtime, model: Path, inputs: Tensors
    ) -> None:
        session = runtime.load(model)
        first = session.run(inputs)

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(session.run, [inputs] * 16))

        assert all(_equal(one, first) for one in found)
        session.close()

    def test_number_of_threads_changes_nothing(
        self, runtime: Runtime, model: Path, inputs: Tensors
    ) -> None:
        one, two = runtime.load(model, threads=1), runtime.load(model, threads=2)

        first, second = one.run(inputs), two.run(inputs)

        for name, value in first.items():
            np.testing.assert_allclose(_floats(second[name]), _floats(value), rtol=1e-5, atol=1e-6)
        one.close()
        two.close()

    def test_inputs_are_left_as_they_were(
        self, runtime: Runtime, model: Path, inputs: Tensors
    ) -> None:
        session = runtime.load(model)
        before = {name: value.copy() for name, value in inputs.items()}

        session.run(inputs)

        assert _equal(inputs, before)
        session.close()

    def test_input_that_the_model_does_not_take_is_dropped(
        self, runtime: Runtime, model: Path, inputs: Tensors
    ) -> None:
        session = runtime.load(model)

        found = session.run({**inputs, "edgewise_no_such_input": np.zeros(1, dtype=np.float32)})

        assert _equal(found, session.run(inputs))
        session.close()

    def test_absent_input_is_named(self, runtime: Runtime, model: Path, inputs: Tensors) -> None:
        session = runtime.load(model)
        absent, *_ = inputs

        with pytest.raises(InvalidData) as caught:
            session.run({name: value for name, value in inputs.items() if name != absent})

        assert absent in caught.value.what
        assert caught.value.where
        assert caught.value.hint
        session.close()

    def test_input_of_another_type_is_invalid_data(
        self, runtime: Runtime, model: Path, inputs: Tensors
    ) -> None:
        session = runtime.load(model)

        with pytest.raises(InvalidData) as caught:
            session.run({name: value.astype(np.complex128) for name, value in inputs.items()})

        assert caught.value.what
        assert caught.value.hint
        session.close()

    @pytest.mark.parametrize("kept_share", [0.0, 0.5, 0.9])
    def test_cut_off_model_is_invalid(
        self, runtime: Runtime, model: Path, tmp_path: Path, kept_share: float
    ) -> None:
        whole = model.read_bytes()
        broken = tmp_path / model.name
        broken.write_bytes(whole[: int(kept_share * len(whole))])

        self._expect_invalid(runtime, broken)

    def test_file_that_is_no_model_is_invalid(
        self, runtime: Runtime, model: Path, tmp_path: Path
    ) -> None:
        text = tmp_path / model.name
        text.write_text("<html><body>404 Not Found</body></html>", encoding="utf-8")

        self._expect_invalid(runtime, text)

    def test_absent_model_is_invalid(self, runtime: Runtime, model: Path, tmp_path: Path) -> None:
        self._expect_invalid(runtime, tmp_path / model.name)

    @staticmethod
    def _expect_invalid(runtime: Runtime, model: Path) -> None:
        with pytest.raises(InvalidModel) as caught:
            runtime.load(model)

        assert caught.value.what
        assert caught.value.where == str(model)
        assert caught.value.hint


def _floats(value: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(value, dtype=np.float64)


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)
