"""Feature extraction: text goes in as for a classifier, vectors come out, and no labels."""

from pathlib import Path

import numpy as np
import pytest
from tiny_project import WIDTH, write_project

from edgewise.errors import InvalidModel
from edgewise.optimize.sources import open_source
from edgewise.records import BundleManifest, Task
from edgewise.runtimes import open_bundle, open_classifier, write_manifest
from edgewise.tasks import open_task

INPUTS = [{"text": text} for text in ("good film", "a bad and dull story", "song", "fine day")]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """Give the bundle of the tiny project's encoder."""
    write_project(tmp_path)
    folder = tmp_path / "encoder"
    folder.mkdir()
    model = open_source(tmp_path / "model", ()).encoder(2)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "model/tokenizer.json").rename(folder / "tokenizer.json")
    manifest = BundleManifest(
        name="tiny",
        task=Task.FEATURE_EXTRACTION,
        labels=(),
        files={},
        tokenizer="tokenizer.json",
        threads=2,
    )
    write_manifest(folder, manifest)
    return folder


def test_an_encoder_gives_a_vector_an_input_in_order(encoder: Path) -> None:
    model = open_bundle(encoder)

    found = model.embed(INPUTS)

    assert found.shape == (len(INPUTS), WIDTH)
    alone = np.concatenate([model.embed([one]) for one in INPUTS])
    assert np.array_equal(found, alone)
    assert np.array_equal(model.embed(INPUTS, workers=2), alone)
    assert np.allclose(model.embed(INPUTS, batch_size=3), alone, atol=1e-5)
    model.work(INPUTS, batch_size=2)
    model.close()


def test_an_encoder_asked_for_a_label_says_what_to_ask_instead(encoder: Path) -> None:
    model = open_bundle(encoder)

    with pytest.raises(InvalidModel) as caught:
        model.predict(INPUTS[0])

    assert caught.value.what == f"an encoder gives embeddings of {WIDTH} numbers and no labels"
    assert caught.value.where == "feature extraction"
    assert "embed" in caught.value.hint
    model.close()


def test_an_encoder_is_not_opened_where_labels_are_needed(encoder: Path) -> None:
    with pytest.raises(InvalidModel) as caught:
        open_classifier(encoder)

    assert caught.value.what == "the bundle is an encoder's and gives no labels"
    assert (caught.value.where, "embed" in caught.value.hint) == (str(encoder), True)


def test_an_encoder_reads_text(encoder: Path) -> None:
    manifest = BundleManifest(
        name="tiny",
        task=Task.FEATURE_EXTRACTION,
        labels=(),
        files={},
        tokenizer="tokenizer.json",
    )

    assert open_task(manifest, encoder).length({"text": "good film"}) == 4
