"""Torch modules become every format; each is run by its own runtime and compared here again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewise.optimize.mobile import MobileArtifact, MobileFormat, export_mobile
from edgewise.runtimes import find_runtime

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore"),  # converters warn of their own affairs
    pytest.mark.timeout(600),
]
FILES = ["model-int8.tflite", "model.ort", "model.pte", "model.tflite"]


def by_format(found: tuple[MobileArtifact, ...]) -> dict[MobileFormat, MobileArtifact]:
    return {one.format: one for one in found}


def expect_all_made(found: tuple[MobileArtifact, ...], out: Path) -> None:
    assert [one.format for one in found] == list(MobileFormat)
    for one in found:
        assert (one.made, one.why) == (True, ""), one
        assert one.cosine is not None
        assert one.cosine >= (0.98 if one.format is MobileFormat.TFLITE_INT8 else 0.9999)
    assert sorted(path.name for path in out.iterdir()) == FILES


def answer(path: Path, example: dict[str, np.ndarray]) -> np.ndarray:
    runtime = "onnxruntime" if path.suffix == ".ort" else "litert"
    (found,) = find_runtime(runtime).load(path).run(example).values()
    return np.asarray(found, dtype=np.float64)


def test_a_text_classifier_becomes_all_formats_for_the_lengths_of_its_examples(
    tmp_path: Path,
) -> None:
    from torch_models import TextClassifier, seeded, texts, torch_of  # noqa: PLC0415 - heavy

    module = seeded(TextClassifier).train()
    module.drop.eval()
    weights = {name: value.clone() for name, value in module.state_dict().items()}

    found = export_mobile(module, texts(3, 12) + texts(3, 7), tmp_path)

    expect_all_made(found, tmp_path)
    assert module.training
    assert not module.drop.training
    assert all(value.equal(weights[name]) for name, value in module.state_dict().items())
    module.eval()
    (unseen,) = texts(1, 9)
    np.testing.assert_allclose(
        answer(tmp_path / "model.ort", unseen),
        module(**torch_of(unseen)).detach().numpy(),
        atol=1e-5,
    )
    for length in (7, 12):
        fresh = texts(5, length)[-1]
        np.testing.assert_allclose(
            answer(tmp_path / "model.tflite", fresh),
            module(**torch_of(fresh)).detach().numpy(),
            atol=1e-5,
        )


def test_a_convolution_net_becomes_all_formats(tmp_path: Path) -> None:
    from torch_models import ConvNet, images, seeded  # noqa: PLC0415 - heavy

    found = export_mobile(seeded(ConvNet), images(4), tmp_path)

    expect_all_made(found, tmp_path)
    sizes = {one.format: one.size_bytes for one in found}
    assert sizes[MobileFormat.TFLITE_INT8] < sizes[MobileFormat.TFLITE]


def test_a_bert_of_hugging_face_becomes_all_formats(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - heavy
    from torch_models import CLASSES, WORDS, texts  # noqa: PLC0415 - heavy
    from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415 - heavy

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=CLASSES,
        initializer_range=0.3,
    )

    found = export_mobile(BertForSequenceClassification(config).eval(), texts(4), tmp_path)

    expect_all_made(found, tmp_path)


def test_what_a_converter_can_not_take_is_named_and_the_others_are_made(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - heavy

    class Sorted(torch.nn.Module):  # type: ignore[misc]  # untyped where absent
        """Looks into the values, which no exporter follows; a trace keeps one branch of it."""

        def forward(self, x: Any) -> Any:
            return x + 1.0 if x.sum() > 0 else x * 3.0

    examples = [{"x": np.full((1, 4), value, np.float32)} for value in (1.0, -1.0)]

    found = by_format(export_mobile(Sorted(), examples, tmp_path))

    assert not any(one.made for one in found.values())
    assert list(tmp_path.iterdir()) == []
    assert "is asked" in found[MobileFormat.ORT].why  # a trace: exported, and then compared
    assert found[MobileFormat.TFLITE].why.startswith("litert-torch can't take it: ")
    assert found[MobileFormat.PTE].why.startswith("ExecuTorch can't take it: ")


def test_too_many_shapes_for_signatures_are_told(tmp_path: Path) -> None:
    from torch_models import TextClassifier, seeded, texts  # noqa: PLC0415 - heavy

    examples = [texts(1, length)[0] for length in range(3, 12)]

    (made,) = export_mobile(
        seeded(TextClassifier), examples, tmp_path, formats=[MobileFormat.TFLITE]
    )

    assert made.why.startswith("the examples have 9 shapes, and at most 8 become one file")
