"""The numpy import of the BERT family equals the reference implementation to 1e-4."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from edgewise.errors import InvalidModel
from edgewise.optimize.sources import open_source
from edgewise.optimize.sources.bert import BertSource
from edgewise.runtimes import find_runtime

GOLDEN = Path(__file__).parents[2] / "golden" / "bert_family"
FAMILIES = ("bert", "distilbert", "roberta", "mpnet")


def run(
    model: bytes, case: Path, folder: Path
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    path = folder / "model.onnx"
    path.write_bytes(model)
    expected = dict(np.load(case / "expected.npz"))
    session = find_runtime("onnxruntime").load(path)
    ids = expected["input_ids"].astype(np.int64)
    inputs = {
        "input_ids": ids,
        "attention_mask": expected["attention_mask"].astype(np.int64),
        "token_type_ids": expected.get("token_type_ids", np.zeros_like(ids)).astype(np.int64),
    }
    taken = {name: inputs[name] for name in session.input_names}
    return dict(session.run(taken)), expected


@pytest.mark.parametrize("case", [*FAMILIES, *(f"{name}_head" for name in FAMILIES)])
def test_every_layers_mean_equals_the_reference(case: str, tmp_path: Path) -> None:
    source = BertSource(GOLDEN / case)

    found, expected = run(source.features().SerializeToString(), GOLDEN / case, tmp_path)

    for layer in range(1, source.layers + 1):
        np.testing.assert_allclose(
            found[f"features_{layer}"], expected[f"layer_{layer}"], atol=1e-4
        )


@pytest.mark.parametrize("case", [f"{name}_head" for name in FAMILIES])
def test_the_checkpoints_own_head_equals_the_reference(case: str, tmp_path: Path) -> None:
    source = BertSource(GOLDEN / case)
    assert source.has_head
    assert len(source.labels) == 3

    model = source.classifier(source.layers, None).SerializeToString()
    found, expected = run(model, GOLDEN / case, tmp_path)

    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-4)


@pytest.mark.parametrize(
    ("case", "absent"), [("bert_head", "bert.pooler"), ("distilbert_head", "pre_classifier")]
)
def test_a_tagger_of_tokens_is_an_encoder_whose_head_is_trained(
    case: str, absent: str, tmp_path: Path
) -> None:
    shutil.copytree(GOLDEN / case, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    kept = {name: one for name, one in load_file(weights).items() if not name.startswith(absent)}
    save_file(kept, weights)

    source = BertSource(tmp_path / "model")

    assert not source.has_head
    assert source.labels == ()


@pytest.mark.parametrize("case", FAMILIES)
def test_positions_beyond_the_longest_text_are_left_out_and_not_missed(
    case: str, tmp_path: Path
) -> None:
    ids = np.load(GOLDEN / case / "expected.npz")["input_ids"]
    whole, cut = BertSource(GOLDEN / case), BertSource(GOLDEN / case)
    assert whole.max_length > ids.shape[1]
    cut.max_length = ids.shape[1]

    large, small = (one.features().SerializeToString() for one in (whole, cut))
    (full, _), (short, _) = (run(one, GOLDEN / case, tmp_path) for one in (large, small))

    width = next(iter(full.values())).shape[1]
    assert len(large) - len(small) >= 4 * width * (whole.max_length - cut.max_length)
    for name, value in full.items():
        assert np.array_equal(value, short[name])


def test_an_unknown_family_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')

    with pytest.raises(InvalidModel) as caught:
        BertSource(tmp_path)

    assert "`t5`" in caught.value.what
    assert "mpnet" in caught.value.hint
    assert "edgewise[torch]" in caught.value.hint


def copied(case: str, folder: Path, **changes: object) -> Path:
    """Copy a case with changes to its configuration."""
    shutil.copytree(GOLDEN / case, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


@pytest.mark.parametrize(
    ("case", "key", "value"),
    [
        ("bert", "hidden_act", "gelu_10"),
        ("distilbert", "activation", "mish"),
        ("roberta", "hidden_act", ["gelu"]),
        ("bert", "position_embedding_type", "relative_key_query"),
    ],
)
def test_what_would_be_imported_wrongly_is_refused_by_name(
    case: str, key: str, value: object, tmp_path: Path
) -> None:
    with pytest.raises(InvalidModel) as caught:
        open_source(copied(case, tmp_path, **{key: value}), ())

    assert f"`{value}`" in caught.value.what
    assert caught.value.where == str(tmp_path / "config.json")
    assert "export it to ONNX" in caught.value.hint


def test_swish_is_another_name_of_silu(tmp_path: Path) -> None:
    folder = copied("roberta_head", tmp_path / "model", hidden_act="swish")

    found, expected = run(BertSource(folder).features().SerializeToString(), folder, tmp_path)

    np.testing.assert_allclose(found["features_3"], expected["layer_3"], atol=1e-4)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "model.onnx"
    wrong.write_bytes(b"nothing")
    other = tmp_path / "model.h5"
    other.write_bytes(b"nothing")

    for path, what in (
        (wrong, "not a valid ONNX"),
        (other, "can't import"),
        (tmp_path / "no", "no such"),
    ):
        with pytest.raises(InvalidModel) as caught:
            open_source(path, ())
        assert what in caught.value.what
        assert caught.value.hint
