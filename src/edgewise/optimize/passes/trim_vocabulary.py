"""Vocabulary trimming: embedding rows that the domain does not need are dropped.

What stays: the tokens of the domain's texts, special tokens, and what other text falls back to
(single characters, bytes, continuation pieces). Text outside the domain still tokenizes, into more
and shorter pieces, which the model knows less well: the gate must see such text too. Where all of
a text's tokens were kept, ids map one to one and the outputs are equal.

Source: Abdaoui et al., "Load What You Need: Smaller Versions of Multilingual BERT", 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from edgewise.errors import InvalidData, InvalidModel
from edgewise.optimize.graphs.vocabularies import Vocabulary
from edgewise.optimize.graphs.wiring import Wiring, attribute

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "trim-vocabulary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """A model and the tokenizer that now belongs to it. Made by `trim_vocabulary`."""

    model: onnx.ModelProto
    tokenizer_json: str
    kept_ids: tuple[int, ...]
    """The source's token ids; the new id of each is its place."""
    tokens_before: int


def trim_vocabulary(
    model: onnx.ModelProto,
    tokenizer_json: str,
    texts: Sequence[str],
    *,
    ids_input: str = "input_ids",
) -> Trimmed:
    """Give the model and tokenizer with what the texts and the fallbacks need.

    Parameters
    ----------
    tokenizer_json
        The text of a `tokenizer.json`: WordPiece, BPE or Unigram.
    texts
        Of the domain.
    ids_input
        The model's input that carries token ids.

    Raises
    ------
    InvalidModel
        When the model has no embedding of the ids, uses them otherwise, or the tokenizer is of
        another kind or has more ids than the embedding has rows.
    InvalidData
        When there are no texts.
    """
    import tokenizers  # noqa: PLC0415 - loads a native library

    if not texts:
        hint = "give the training texts"
        raise InvalidData("there are no texts to keep the vocabulary of", where="texts", hint=hint)
    vocabulary = Vocabulary(tokenizer_json)
    try:
        tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json)
    except Exception as broken:
        what = f"not a tokenizer: {broken}"
        raise InvalidModel(what, where="tokenizer.json", hint="copy it again") from broken
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokens: set[str] = set()
    words: set[str] = set()
    for encoding in tokenizer.encode_batch(list(texts)):
        tokens.update(encoding.tokens)
    if vocabulary.kind == "WordPiece":
        for text in texts:
            words |= _words_of(tokenizer, text)
    needed = vocabulary.needed(tokens, words)
    kept_ids = sorted({vocabulary.ids[token] for token in needed})
    new_ids = {old: new for new, old in enumerate(kept_ids)}
    return Trimmed(
        model=_drop_rows(model, kept_ids, new_ids, ids_input),
        tokenizer_json=vocabulary.cut(new_ids),
        kept_ids=tuple(kept_ids),
        tokens_before=len(vocabulary.ids),
    )


def _words_of(tokenizer: "Tokenizer", text: str) -> set[str]:
    """Part a text as the tokenizer does before it looks pieces up."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return {text}
    return {word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)}


def _drop_rows(
    model: onnx.ModelProto, kept: list[int], new_ids: dict[int, int], ids_input: str
) -> onnx.ModelProto:
    wiring = Wiring(model)
    embeddings = 0
    names, seen = [ids_input], set()
    while names:
        name = names.pop()
        for node in wiring.readers.get(name, []):
            if id(node) in seen or node.op_type == "Shape":
                continue
            seen.add(id(node))
            if node.op_type in ("Cast", "Identity"):
                names.append(node.output[0])
            elif node.op_type == "Gather" and _is_embedding(wiring, node, name):
                table = wiring.value(node.input[0])
                assert table is not None  # `_is_embedding` saw it
                if kept[-1] >= len(table):
                    what = f"the tokenizer has id {kept[-1]}, the embedding {len(table)} rows"
                    hint = "give the tokenizer of this model"
                    raise InvalidModel(what, where=NAME, hint=hint)
                wiring.put(node, 0, table[kept])
                embeddings += 1
            elif _is_equal_to_kept(wiring, node, new_ids):
                _renumber_constant(wiring, node, new_ids)
            else:
                what = f"`{node.op_type}` reads `{ids_input}` in a way that trimming would change"
                raise InvalidModel(what, where=NAME, hint="leave the vocabulary as it is")
    if embeddings == 0:
        what = f"no embedding found: looked for a Gather of rows by `{ids_input}`"
        raise InvalidModel(what, where=NAME, hint="trim before fusing or quantizing the model")
    return wiring.finish()


def _is_embedding(wiring: Wiring, node: onnx.NodeProto, ids: str) -> bool:
    table = wiring.value(node.input[0])
    rows = attribute(node, "axis", 0) == 0
    return table is not None and table.ndim == 2 and rows and node.input[1] == ids


def _is_equal_to_kept(wiring: Wiring, node: onnx.NodeProto, new_ids: dict[int, int]) -> bool:
    """Say whether ids are compared with one that stays, as where positions skip padding."""
    sides = wiring.operands(node)
    value = wiring.scalar(sides[1]) if sides is not None else None
    return node.op_type == "Equal" and value is not None and int(value) in new_ids


def _renumber_constant(wiring: Wiring, node: onnx.NodeProto, new_ids: dict[int, int]) -> None:
    sides = wiring.operands(node)
    assert sides is not None  # `_is_equal_to_kept` saw it
    value = wiring.value(sides[1])
    assert value is not None
    new = np.full_like(value, new_ids[int(value.reshape(-1)[0])])
    wiring.put(node, list(node.input).index(sides[1]), new)
