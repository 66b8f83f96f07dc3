"""Recipes: words are read, put in the order that works, and carried out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_graphs import (
    Builder,
    convnet,
    exported_bert,
    images,
    run,
    token_samples,
    weight,
    with_weight,
)
from tiny_project import WIDTH, write_model
from tokenizers import Tokenizer

from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize import recipe as recipes
from edgewise.optimize.graphs.outputs import mean_cosine
from edgewise.optimize.recipe import TOOLS, Draft, in_order, parse, split
from edgewise.optimize.sources.bert import BertSource

WORDS = [tool.name for tool in TOOLS if tool.name != "float32"]


def kinds(draft: Draft) -> set[str]:
    return {node.op_type for node in draft.model.graph.node}


def bert() -> Draft:
    return Draft(model=exported_bert(), samples=tuple(token_samples(20)))


def one_product() -> onnx.ModelProto:
    b = Builder(4)
    b.op("Gemm", "x", b.draw(6, 3), b.draw(3))
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])
    return b.finish([takes], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])])


def zeros() -> onnx.ModelProto:
    model = one_product()
    return with_weight(model, "w0", np.zeros((6, 3)))


def test_words_are_read_with_their_arguments() -> None:
    assert parse("prune-ffn:0.25, int8-dynamic") == ("prune-ffn:0.25", "int8-dynamic")
    assert parse("float32") == ()


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("int8-dinamic", "no pass is called `int8-dinamic`", "int8-dynamic"),
        ("quantize", "no pass is called `quantize`", "one of"),
        ("fp16:3", "`fp16` takes no argument", "did you mean"),
    ],
)
def test_a_wrong_word_is_named_with_the_nearest_right_one(text: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)

    assert caught.value.what == what
    assert caught.value.where == "recipe"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "word",
    [
        *("prune-ffn:lots", "int8-static:best", "fuse:all"),
        *("int4-weights:nan", "int8-weights:32.5", "int8-static-after:inf", "int8-static-after:-1"),
    ],
)
def test_a_wrong_argument_is_named(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipes.run(bert(), [word])

    assert word.partition(":")[2] in caught.value.what
    assert caught.value.hint


@given(st.lists(st.sampled_from(WORDS), unique=True))
def test_order_does_not_depend_on_how_a_recipe_was_written(words: list[str]) -> None:
    assert in_order(words) == in_order(list(reversed(words)))
    assert sorted(in_order(words)) == sorted(words)


@given(st.lists(st.sampled_from(WORDS), unique=True))
def test_what_makes_another_model_comes_before_what_makes_it_smaller(words: list[str]) -> None:
    first, second = split(words)

    assert (*first, *second) == in_order(words)
    assert not any(word.startswith(("int", "fp16", "smooth", "fuse", "mixed")) for word in first)


def test_pruning_named_after_quantizing_happens_before_it() -> None:
    made = recipes.run(bert(), ["int8-static", "prune-ffn:0.5"])

    assert "QuantizeLinear" in kinds(made)
    same = recipes.run(recipes.run(bert(), ["prune-ffn:0.5"]), ["int8-static"])
    assert made.model.SerializeToString() == same.model.SerializeToString()


@pytest.mark.parametrize(
    "word",
    ["smooth", "int8-dynamic", "int8-static", "int8-weights:16", "fp16", "fuse", "mixed:0.9999"],
)
def test_the_same_model_in_fewer_bits_answers_alike(word: str) -> None:
    draft = bert()

    made = recipes.run(draft, [word])

    assert mean_cosine(made.model, draft.model, draft.samples) > 0.99
    assert draft.model.SerializeToString() == exported_bert().SerializeToString()


@pytest.mark.parametrize(("word", "floats"), [("int8-static", 1), ("int8-static-whole", 0)])
def test_the_output_layer_gets_eight_bits_only_where_it_is_said(word: str, floats: int) -> None:
    draft = Draft(model=convnet(), samples=tuple(images(4)))

    made = recipes.run(draft, [word]).model

    linear = next(node for node in made.graph.node if node.op_type in ("Gemm", "MatMul"))
    stored = {one.name for one in made.graph.initializer}
    assert len(set(linear.input[1:2]) & stored) == floats
    assert mean_cosine(made, draft.model, draft.samples) > 0.99


def test_a_pass_with_nothing_to_do_is_named_in_the_reason() -> None:
    with pytest.raises(InvalidModel) as caught:
        recipes.run(Draft(model=convnet(), samples=tuple(images(2))), ["prune-heads"])

    assert caught.value.what.startswith("`prune-heads`: ")


@pytest.mark.parametrize(
    "word",
    ["int8-static", "int8-dynamic", "int8-static-after:0", "int4-weights", "int8-weights", "mixed"],
)
def test_a_model_whose_only_product_gives_its_logits_has_nothing_to_quantize(word: str) -> None:
    draft = Draft(model=one_product(), samples=({"x": np.ones((1, 6), np.float32)},))

    with pytest.raises(InvalidModel) as caught:
        recipes.run(draft, [word])

    assert caught.value.what == (
        f"`{word}`: no product or table with a stored weight to quantize but what stays in float"
    )
    assert (caught.value.where, caught.value.hint) == ("recipe", "leave it out for this model")


@pytest.mark.parametrize("word", ["int4-weights", "int8-weights"])
def test_a_convnet_has_no_weights_for_blocks(word: str) -> None:
    with pytest.raises(InvalidModel) as caught:
        recipes.run(Draft(model=convnet(), samples=tuple(images(2))), [word])

    assert caught.value.what.startswith(f"`{word}`: no product or table")


@pytest.mark.parametrize(
    ("draft", "word", "what"),
    [
        (bert, "prune-heads:0.01", "a share of 0.01 takes none"),
        (bert, "prune-ffn:0.01", "a share of 0.01 takes none"),
        (bert, "prune-layers:0.1", "a share of 0.1 takes none"),
        (lambda: Draft(model=convnet()), "prune-channels:0.01", "a share of 0.01 takes none"),
        (lambda: Draft(model=zeros()), "prune-unstructured:0.5", "zero already: 0.5"),
        (lambda: Draft(model=one_product()), "fuse", "no constants to fold"),
    ],
)
def test_a_pass_that_changes_nothing_says_so(
    draft: Callable[[], Draft], word: str, what: str
) -> None:
    with pytest.raises(InvalidModel) as caught:
        recipes.run(draft(), [word])

    assert caught.value.what.startswith(f"`{word}`: ")
    assert what in caught.value.what
    assert caught.value.hint == "leave it out for this model"


def test_a_share_of_none_is_what_was_asked_for() -> None:
    draft = bert()

    made = recipes.run(draft, ["prune-ffn:0", "prune-heads:0"])

    assert made.model.SerializeToString() == draft.model.SerializeToString()


def test_a_vocabulary_that_is_needed_whole_is_not_trimmed(tmp_path: Path) -> None:
    write_model(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.add_special_tokens(["[PAD]"])
    text, words = tokenizer.to_str(), tuple(tokenizer.get_vocab())
    model = BertSource(tmp_path).features()

    with pytest.raises(InvalidModel) as caught:
        recipes.run(Draft(model=model, tokenizer=text, texts=words), ["trim-vocabulary"])

    assert caught.value.what == (
        f"`trim-vocabulary`: the texts and fallbacks need all of its {len(words)} tokens"
    )


def test_a_vocabulary_is_not_trimmed_without_a_tokenizer() -> None:
    with pytest.raises(InvalidModel) as caught:
        recipes.run(bert(), ["trim-vocabulary"])

    assert caught.value.what.startswith("`trim-vocabulary`: no tokenizer.json")


def test_a_trimmed_vocabulary_renumbers_the_samples_too(tmp_path: Path) -> None:
    write_model(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text()
    tokenizer, words = Tokenizer.from_str(text), ("good film", "bad story")
    encoded = [np.array([tokenizer.encode(one).ids], dtype=np.int64) for one in words]
    samples = tuple(
        {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        for ids in encoded
    )
    source = BertSource(tmp_path)
    head = (np.eye(2, WIDTH, dtype=np.float32), np.zeros(2, np.float32))
    draft = Draft(
        model=source.classifier(2, head), samples=samples, tokenizer=text, texts=tuple(words)
    )

    made = recipes.run(draft, ["trim-vocabulary"])

    assert made.tokenizer is not None
    trimmed = Tokenizer.from_str(made.tokenizer)
    assert trimmed.get_vocab_size() < tokenizer.get_vocab_size()
    for one, before, after in zip(words, samples, made.samples, strict=True):
        assert after["input_ids"].tolist() == [trimmed.encode(one).ids]
        np.testing.assert_array_equal(
            run(made.model, dict(after))[0], run(draft.model, dict(before))[0]
        )


def test_outputs_are_compared_row_by_row() -> None:
    model, samples = exported_bert(), token_samples(3)

    assert mean_cosine(model, model, samples) == pytest.approx(1.0)
    name = next(node.input[1] for node in model.graph.node if node.op_type == "MatMul")
    halved = with_weight(model, name, 0.5 * weight(model, name))
    assert mean_cosine(halved, model, samples) < 0.9999
