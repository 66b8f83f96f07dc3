"""Inputs made up: words of the vocabulary in lengths that spread, pixels of the right size."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordPiece
from tokenizers.pre_tokenizers import ByteLevel, Whitespace

from edgewise.errors import InvalidModel
from edgewise.records import BundleManifest, ImageInput, Task
from edgewise.runtimes import open_bundle, read_manifest
from edgewise.tasks import sample_inputs
from edgewise.tasks.samples import spread_lengths
from edgewise.tasks.text import whole_words
from edgewise.testing.models import tiny_image_bundle, tiny_text_bundle


def test_texts_spread_over_the_lengths_that_the_bundle_reads(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    model = open_bundle(bundle)

    found = sample_inputs(read_manifest(bundle), bundle, 50, np.random.default_rng(0))

    lengths = [model.length(one) for one in found]
    assert np.histogram(lengths, [0, 9, 17, 33, 65, 129])[0].tolist() == [10] * 5
    assert {word for one in found for word in one["text"].split()} == {
        "good",
        "great",
        "bad",
        "awful",
    }


def test_the_seed_decides_the_texts(tmp_path: Path) -> None:
    bundle = tiny_text_bundle(tmp_path / "bundle")
    manifest = read_manifest(bundle)

    first, again, other = (
        sample_inputs(manifest, bundle, 20, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )

    assert first == again != other


def test_images_have_the_manifests_size(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "bundle", side=6)

    found = sample_inputs(read_manifest(bundle), bundle, 3, np.random.default_rng(0))

    assert [one["image"].shape for one in found] == [(6, 6, 3)] * 3
    assert open_bundle(bundle).predict(found[0]).label in {"dark", "bright"}


def test_one_channel_is_one_channel(tmp_path: Path) -> None:
    manifest = BundleManifest(
        name="grey",
        task=Task.IMAGE_CLASSIFICATION,
        labels=("a", "b"),
        files={},
        image=ImageInput(height=2, width=5, channels=1),
    )

    (only,) = sample_inputs(manifest, tmp_path, 1, np.random.default_rng(0))

    assert only["image"].shape == (2, 5, 1)


def test_an_image_bundle_without_a_size_is_refused(tmp_path: Path) -> None:
    manifest = BundleManifest(
        name="odd", task=Task.IMAGE_CLASSIFICATION, labels=("a", "b"), files={}
    )

    with pytest.raises(InvalidModel) as caught:
        sample_inputs(manifest, tmp_path, 1, np.random.default_rng(0))

    assert caught.value.what == "the bundle does not say how images are read"
    assert caught.value.where == str(tmp_path)
    assert caught.value.hint


def test_a_vocabulary_without_words_is_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "7": 1, "##a": 2}, unk_token="[UNK]"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    manifest = BundleManifest(
        name="digits", task=Task.TEXT_CLASSIFICATION, labels=("a", "b"), files={}
    )

    with pytest.raises(InvalidModel) as caught:
        sample_inputs(manifest, tmp_path, 1, np.random.default_rng(0))

    assert caught.value.what == "its vocabulary holds no word to make text of"
    assert caught.value.where.endswith("tokenizer.json")
    assert caught.value.hint == "give natural inputs instead"


def test_words_of_a_byte_level_vocabulary_lose_their_mark() -> None:
    vocabulary = {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġa": 4, "Ġab": 5, "!": 6}
    merges = [("a", "b"), ("Ġ", "a"), ("Ġa", "b")]
    tokenizer = Tokenizer(BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)

    assert whole_words(tokenizer) == ["a", "b", "ab"]


def test_pieces_and_special_tokens_are_no_words() -> None:
    words = ["[UNK]", "film", "##s", "unk", "x1", "screen"]
    tokenizer = Tokenizer(
        WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(["unk"])

    assert whole_words(tokenizer) == ["film", "screen"]


@given(st.integers(1, 3000), st.integers(1, 60), st.integers(0, 9))
def test_lengths_stay_within_what_is_read(longest: int, count: int, seed: int) -> None:
    lengths = spread_lengths(longest, count, np.random.default_rng(seed))

    assert len(lengths) == count
    assert min(lengths) >= 1
    assert max(lengths) <= longest
