"""Text classification: the door to `tokenizers`."""

import re
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
_HEAD_CHARACTERS = 16
"""A text's beginning is tried with so many characters for each token that is wanted of it."""
_LETTER = r"[^\W_\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]"
"""A letter or digit that goes into one word with those beside it, as ideographs do not."""


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
            return _word_pieces(file)
        return Tokenizer.from_file(str(file))
    except Exception as broken:
        raise InvalidModel(
            f"not a tokenizer: {broken}", where=str(file), hint="export it again"
        ) from broken


def _word_pieces(vocabulary: Path) -> Tokenizer:
    """Make BERT's tokenizer of a vocabulary; one with capitals is of a model that knows them."""
    pieces = vocabulary.read_text(encoding="utf-8").splitlines()
    # Special tokens, such as `[CLS]`, stand in capitals everywhere.
    knows_case = any(piece != piece.lower() for piece in pieces if not piece.startswith("["))
    return BertWordPieceTokenizer(str(vocabulary), lowercase=not knows_case)._tokenizer


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
        self._around, self._spare = around, _longest_word(tokenizer)
        self._head = (max_length + self._spare) * _HEAD_CHARACTERS if self._spare else None
        self._endless = _endless_word(tokenizer) if self._spare else None
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
                found = self._ids_of_head(text) or self._tokenizer.encode(self._cut(text)).ids
        except TypeError as unfit:
            raise _not_text(text) from unfit
        return found

    def _ids_of_head(self, text: Any) -> list[int] | None:
        """Read the beginning of a long text, where that has more tokens than are wanted.

        A tokenizer reads all of a text before it cuts: seconds for a megabyte. Words are read each
        for itself, so a cut changes the tokens of the last word alone: as many as are spare here.
        """
        if self._head is None or not isinstance(text, str) or len(text) <= 2 * self._head:
            return None
        if not _is_whole(text):
            return None
        found = self._tokenizer.encode(text[: self._head])
        beyond = sum(len(one.ids) - self._around for one in found.overflowing)
        return found.ids if beyond > self._spare else None

    def _cut(self, text: Any) -> Any:
        """Cut words that stay longer than a word can be, and gaps: neither changes a token."""
        if self._head is None or not isinstance(text, str) or len(text) <= 2 * self._head:
            return text
        text = _GAP.sub(" ", text)
        return text if self._endless is None else self._endless.sub(r"\1", text)


_GAP = re.compile(r"  +")


def _endless_word(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Give what finds the end of words that are unknown for their length, in its first group.

    `None` where something may look into such a word before it is told to be one.
    """
    added = tokenizer.get_added_tokens_decoder().values()
    normalizer = type(tokenizer.normalizer).__name__
    if normalizer not in ("BertNormalizer", "NoneType") or any(
        one.content.isalnum() for one in added
    ):
        return None
    most = int(tokenizer.model.max_input_chars_per_word)
    return re.compile(f"({_LETTER}{{{most + 1}}}){_LETTER}+")


def _longest_word(tokenizer: Tokenizer) -> int:
    """Give the most tokens that one word can have, and a token of the tokenizer's own beside it.

    0 where texts are not split into words before anything else.
    """
    model = tokenizer.model
    if type(tokenizer.pre_tokenizer).__name__ != "BertPreTokenizer" or not hasattr(
        model, "max_input_chars_per_word"
    ):
        return 0
    added = (len(one.content) for one in tokenizer.get_added_tokens_decoder().values())
    return int(model.max_input_chars_per_word) + max(added, default=0)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair: read it all, to be told so
        return False
    return True


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
