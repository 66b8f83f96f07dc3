"""A trimmed tokenizer agrees with the full one wherever the tokens were kept."""

import json
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_graphs import Builder, golden, run, tokens
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.passes.trim_vocabulary import Trimmed, trim_vocabulary

SYLLABLES = ("ba", "de", "ki", "lo", "mu", "na", "pri", "sto", "ter", "ung", "é", "ß")
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
KINDS = ("wordpiece", "bpe", "unigram")
WORDS = st.lists(st.sampled_from(SYLLABLES), min_size=1, max_size=4).map("".join)
SENTENCES = st.lists(WORDS, max_size=8).map(" ".join)


def corpus(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(120)]
    return [" ".join(rng.choice(words, rng.integers(2, 9))) for _ in range(count)]


@cache
def full(kind: str) -> str:
    """Train a tokenizer of each kind on made-up words."""
    made: Any
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="<unk>"))
        made.normalizer = normalizers.Lowercase()
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=220, special_tokens=SPECIAL)
    elif kind == "bpe":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=450, special_tokens=SPECIAL, initial_alphabet=alphabet
        )
    else:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=SPECIAL, unk_token="<unk>")
    made.train_from_iterator(corpus(400, seed=0), trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    made.enable_padding(pad_id=0, pad_token="<pad>")
    return str(made.to_str())


def embedding(rows: int) -> onnx.ModelProto:
    """Give a model that sums embeddings of what is not padding (id 0)."""
    b = Builder(7)
    real = b.op("Not", b.op("Equal", "input_ids", b.constant(0, np.int64)))
    real = b.op("Unsqueeze", b.op("Cast", real, to=1), b.constant([2], np.int64))
    found = b.op("Mul", b.op("Gather", b.draw(rows, 5), "input_ids"), real)
    b.op("ReduceSum", found, b.constant([1], np.int64), keepdims=0)
    takes = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "s"])
    return b.finish([takes], [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 5])])


@cache
def trimmed(kind: str) -> Trimmed:
    rows = Tokenizer.from_str(full(kind)).get_vocab_size()
    return trim_vocabulary(embedding(rows), full(kind), corpus(6, seed=1))


def both(kind: str, text: str) -> tuple[list[int], list[int]]:
    """Give the full tokenizer's ids and the trimmed one's as the full one numbers them."""
    before = Tokenizer.from_str(full(kind)).encode(text).ids
    after = Tokenizer.from_str(trimmed(kind).tokenizer_json).encode(text).ids
    return before, [trimmed(kind).kept_ids[i] for i in after]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_tokens_go_together(kind: str) -> None:
    found = trimmed(kind)

    kept = len(found.kept_ids)
    (table,) = (t for t in found.model.graph.initializer if len(t.dims) == 2)
    assert Tokenizer.from_str(found.tokenizer_json).get_vocab_size() == kept < found.tokens_before
    assert tuple(table.dims) == (kept, 5)
    assert list(found.kept_ids) == sorted(set(found.kept_ids))
    assert len(found.tokenizer_json) < len(full(kind))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(text=SENTENCES)
def test_it_agrees_on_every_text_whose_tokens_were_kept(kind: str, text: str) -> None:
    before, after = both(kind, text)

    if set(before) <= set(trimmed(kind).kept_ids):
        assert after == before


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_any_text_tokenizes(kind: str, text: str) -> None:
    before, after = both(kind, text)

    assert after[0] == 2
    assert after[-1] == 3
    if kind == "bpe":
        assert Tokenizer.from_str(full(kind)).decode(after) == Tokenizer.from_str(
            full(kind)
        ).decode(before)


@pytest.mark.parametrize("kind", KINDS)
def test_domain_texts_keep_their_tokens_and_the_models_output_bit_for_bit(kind: str) -> None:
    model = embedding(trimmed(kind).tokens_before)
    new = Tokenizer.from_str(trimmed(kind).tokenizer_json)
    for text in corpus(6, seed=1):
        before, after = both(kind, text)
        assert after == before

        ids = new.encode(text).ids
        found = run(trimmed(kind).model, tokens(np.asarray([[*ids, 0, 0]])))
        expected = run(model, tokens(np.asarray([[*before, 0, 0]])))
        np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("kind", KINDS)
def test_words_outside_the_domain_are_spelled_not_unknown(kind: str) -> None:
    unseen = "".join(SYLLABLES[:10]) + " " + "".join(SYLLABLES[5::-1])

    before, after = both(kind, unseen)

    assert 1 not in before
    assert 1 not in after
    assert len(after) >= len(before)


def test_a_domain_word_that_was_unknown_stays_unknown() -> None:
    vocabulary = {"<unk>": 0, "ab": 1, "a": 2, "##bc": 3, "x": 4}
    word = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    word.pre_tokenizer = pre_tokenizers.Whitespace()
    assert word.encode("abc").tokens == ["<unk>"]

    found = trim_vocabulary(embedding(5), word.to_str(), ["abc", "xbc"])

    assert Tokenizer.from_str(found.tokenizer_json).encode("abc").tokens == ["<unk>"]


def test_unknown_characters_cost_what_they_cost_before() -> None:
    scores = [
        ("<unk>", 0.0),
        ("a", -20.0),
        ("b", -20.0),
        ("?a", -20.0),
        ("ab", -1.0),
        ("zz", -50.0),
    ]
    # in full, `?` alone costs 10 more than the rarest piece: ?a b at 40 beats ? ab at 61
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0))
    assert tokenizer.encode("?ab").tokens == ["?a", "b"]

    found = trim_vocabulary(embedding(6), tokenizer.to_str(), ["?ab", "ab"])

    assert Tokenizer.from_str(found.tokenizer_json).encode("?ab").tokens == ["?a", "b"]


def test_positions_that_skip_padding_follow_its_new_number() -> None:
    model = golden("roberta_head")
    pieces = {"zz": 0, "<pad>": 1, "q": 2, "x": 3, **{f"unused{i}": i for i in range(4, 100)}}
    word = Tokenizer(models.WordPiece(pieces, unk_token="q"))
    word.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    word.add_special_tokens(["<pad>"])

    found = trim_vocabulary(model, word.to_str(), ["x q"])

    assert found.kept_ids == (1, 2, 3)
    expected = run(model, _padded([[2, 3, 3, 1, 1]], pad=1))
    given = run(found.model, _padded([[1, 2, 2, 0, 0]], pad=0))
    np.testing.assert_array_equal(given[0], expected[0])


def test_padding_that_is_no_special_token_stays() -> None:
    word = Tokenizer(models.WordPiece({"?": 0, "ab": 1, "cd": 2, "pad": 3}, unk_token="?"))
    word.pre_tokenizer = pre_tokenizers.Whitespace()
    word.enable_padding(pad_id=3, pad_token="pad")

    found = trim_vocabulary(embedding(4), word.to_str(), ["cd"])

    assert found.kept_ids == (0, 2, 3)
    padding = Tokenizer.from_str(found.tokenizer_json).padding
    assert padding is not None
    assert padding["pad_id"] == 2


def test_tokens_that_stand_between_two_texts_alone_stay() -> None:
    word = Tokenizer(models.WordPiece({"?": 0, "ab": 1, "cd": 2, "both": 3}, unk_token="?"))
    word.pre_tokenizer = pre_tokenizers.Whitespace()
    word.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A both $B", special_tokens=[("both", 3)]
    )

    found = trim_vocabulary(embedding(4), word.to_str(), ["cd"])

    assert found.kept_ids == (0, 2, 3)
    assert Tokenizer.from_str(found.tokenizer_json).encode("cd", "cd").ids == [1, 2, 1]


def _padded(ids: list[list[int]], pad: int) -> dict[str, np.ndarray]:
    inputs = tokens(np.asarray(ids))
    return inputs | {"attention_mask": (inputs["input_ids"] != pad).astype(np.int64)}


def test_the_given_model_is_untouched_and_the_result_the_same_each_time() -> None:
    rows = Tokenizer.from_str(full("bpe")).get_vocab_size()
    model = embedding(rows)
    before = model.SerializeToString()

    first, second = (trim_vocabulary(model, full("bpe"), corpus(4, seed=2)) for _ in range(2))

    assert first == second
    assert model.SerializeToString() == before


def test_what_cannot_be_trimmed_is_named() -> None:
    b = Builder(0)
    b.op("Cast", "input_ids", to=1)
    takes = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "s"])
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "s"])
    bare = b.finish([takes], [gives])
    level = Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).to_str()
    cases: list[tuple[onnx.ModelProto, str, str]] = [
        (bare, full("bpe"), "no embedding found"),
        (embedding(10), full("bpe"), "embedding 10 rows"),
        (embedding(10), level, "`WordLevel`"),
        (embedding(10), "{}", "not a tokenizer"),
        (embedding(10), json.dumps({"model": {"type": "BPE", "vocab": {}}}), "not a tokenizer"),
    ]

    for model, text, what in cases:
        with pytest.raises(InvalidModel, match=what) as caught:
            trim_vocabulary(model, text, ["a"])
        assert caught.value.where
        assert caught.value.hint
    with pytest.raises(InvalidData, match="no texts"):
        trim_vocabulary(embedding(10), level, [])
