"""Text classification: the door to `tokenizers`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

from edgewise.errors import InvalidData, InvalidModel
from edgewise.records import Input, Prediction
from edgewise.tasks.softmax import predictions

_TEXTS_AHEAD = 64
_LONGEST_AHEAD = 10_000  # characters: what is kept stays under a megabyte or two


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer from `tokenizer.json`, or from a folder with that file or a `vocab.txt`.

    Raises
    ------
    InvalidModel
        When there is none, or it can't be read.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    vocabulary = file.with_name("vocab.txt")
    if vocabulary.is_file() and not file.is_file():
        file = vocabulary
    if not file.is_file():
        hint = "put tokenizer.json beside the model, or set model.tokenizer"
        raise InvalidModel("there is no tokenizer", where=str(file), hint=hint)
    try:
        if file == vocabulary:
            return BertWordPieceTokenizer(str(file))._tokenizer
        return Tokenizer.from_file(str(file))
    except Exception as broken:
        raise InvalidModel(
            f"not a tokenizer: {broken}", where=str(file), hint="export it again"
        ) from broken


def whole_words(tokenizer: Tokenizer, most: int = 2000) -> list[str]:
    """Give words of a vocabulary that stand for one token each, in the order of their ids.

    Letters only: special tokens and pieces of words are left out.

    Parameters
    ----------
    most
        So many candidates are tried, evenly over the vocabulary.
    """
    special = {one.content for one in tokenizer.get_added_tokens_decoder().values()}
    by_id = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    words = [token.lstrip("Ġ▁") for _, token in by_id if token not in special]
    words = list(dict.fromkeys(word for word in words if word.isalpha()))
    tried = words[:: max(1, len(words) // most)]
    tokenizer.no_padding()
    alone = tokenizer.encode_batch(tried, add_special_tokens=False)
    return [word for word, found in zip(tried, alone, strict=True) if len(found.ids) == 1]


class TextClassification:
    """Text to token ids, logits to labels. Made by `open_task`."""

    def __init__(self, tokenizer: Tokenizer, labels: tuple[str, ...], max_length: int) -> None:
        self.labels = labels
        self._tokenizer = tokenizer
        self._pad = _padding_id(tokenizer)
        around = tokenizer.num_special_tokens_to_add(is_pair=False)
        if max_length <= around:
            what = f"max_length is {max_length}, and {around} special tokens stand around each text"
            hint = f"set max_length to {around + 1} or more"
            raise InvalidModel(what, where="max_length", hint=hint)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        self._ahead: dict[str, list[int]] = {}

    def encode(self, inputs: Sequence[Input]) -> dict[str, NDArray[np.generic]]:
        """Give `input_ids`, `attention_mask` and `token_type_ids` of shape (n, longest)."""
        if len(inputs) == 1:
            ids = np.array([self._ids(inputs[0])], dtype=np.int64)
            return {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
        rows = [self._ids(one) for one in inputs]
        longest = max(map(len, rows), default=0)
        ids = np.full((len(rows), longest), self._pad, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def decode(self, logits: NDArray[np.floating]) -> list[Prediction]:
        """Give a prediction a row."""
        return predictions(logits, self.labels)

    def length(self, one: Input) -> int:
        """Count tokens, special ones included, after truncation."""
        return len(self._ids(one))

    def read_ahead(self, one: Input) -> int:
        """Count tokens as `length` does, and keep them for the next call with this text."""
        ids = self._ids(one)
        text = one["text"]
        if len(text) <= _LONGEST_AHEAD:
            if len(self._ahead) >= _TEXTS_AHEAD:  # of requests that no model here answered
                self._ahead.clear()
            self._ahead[text] = ids
        return len(ids)

    def _ids(self, one: Input) -> list[int]:
        text: Any = one.get("text")
        try:
            found = self._ahead.pop(text, None)
            if found is None:
                found = self._tokenizer.encode(text).ids
        except TypeError as unfit:
            raise _not_text(text) from unfit
        return found


def _not_text(text: object) -> InvalidData:
    what, hint = f"`text` is a {type(text).__name__}", 'give {"text": "..."}'
    if text is None:
        what = "the input has no `text`"
    elif isinstance(text, str):
        what, hint = "`text` holds half of a surrogate pair", "give text that UTF-8 can hold"
    return InvalidData(what, where="input", hint=hint)


def _padding_id(tokenizer: Tokenizer) -> int:
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    for name in ("[PAD]", "<pad>"):
        found = tokenizer.token_to_id(name)
        if found is not None:
            return int(found)
    return 0
