from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgewise.errors import InvalidData
from edgewise.runtimes.litert import LiteRt

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def two_lengths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a text classifier with a signature for 6 tokens and one for 12."""
    import litert_torch  # noqa: PLC0415 - heavy
    from torch_models import TextClassifier, seeded, texts, torch_of  # noqa: PLC0415 - heavy

    module, (short,), (long,) = seeded(TextClassifier), texts(1, 6), texts(1, 12)
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    both = litert_torch.signature("tokens_6", module, sample_kwargs=torch_of(short))
    both.signature("tokens_12", module, sample_kwargs=torch_of(long)).convert().export(str(path))
    return path


@pytest.fixture(scope="module")
def any_batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a convolution net whose batch calls may choose."""
    import litert_torch  # noqa: PLC0415 - heavy
    import torch  # noqa: PLC0415 - heavy
    from torch_models import ConvNet, images, seeded, torch_of  # noqa: PLC0415 - heavy

    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    sample = {"image": torch_of(images(1)[0])["image"].repeat(2, 1, 1, 1)}
    sizes = {"image": {0: torch.export.Dim("batch", max=64)}}
    converted = litert_torch.convert(seeded(ConvNet), sample_kwargs=sample, dynamic_shapes=sizes)
    converted.export(str(path))
    return path


def assert_near(found: dict[str, NDArray[np.generic]], expected: NDArray[np.float32]) -> None:
    (only,) = found.values()
    np.testing.assert_allclose(only.astype(np.float32), expected, atol=1e-5)


def test_the_signature_that_fits_the_shapes_answers(two_lengths: Path) -> None:
    from torch_models import TextClassifier, seeded, texts, torch_of  # noqa: PLC0415 - heavy

    session, module = LiteRt().load(two_lengths), seeded(TextClassifier)

    assert session.input_names == ("input_ids", "attention_mask")
    assert session.input_shapes == ((1, None), (1, None))
    for length in (12, 6, 12):
        for inputs in texts(3, length):
            expected = module(**torch_of(inputs)).detach().numpy()
            assert_near(session.run(inputs), expected)


def test_shapes_that_no_signature_fits_are_refused(two_lengths: Path) -> None:
    session = LiteRt().load(two_lengths)

    with pytest.raises(InvalidData) as caught:
        session.run({name: np.ones((1, 7), np.int64) for name in session.input_names})

    assert caught.value.what == "the model's input 'input_ids' is 1x6 and not 1x7"
    assert caught.value.where == str(two_lengths)


def test_a_size_left_open_is_chosen_by_the_call(any_batch: Path) -> None:
    from torch_models import ConvNet, images, seeded  # noqa: PLC0415 - heavy

    session, module = LiteRt().load(any_batch), seeded(ConvNet)
    import torch  # noqa: PLC0415 - heavy

    assert session.input_shapes == ((None, 3, 16, 16),)
    for batch in (1, 5, 2):
        image = np.concatenate([one["image"] for one in images(batch)])
        expected = module(torch.from_numpy(image)).detach().numpy()
        assert_near(session.run({"image": image}), expected)


def test_an_answer_stays_when_the_next_comes(any_batch: Path) -> None:
    from torch_models import images  # noqa: PLC0415 - heavy

    session = LiteRt().load(any_batch)
    first, second = images(2)
    (found,) = session.run(first).values()
    kept = found.copy()

    session.run(second)

    np.testing.assert_array_equal(found, kept)
