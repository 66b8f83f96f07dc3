"""Text classification: the door to `tokenizers`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

from edgewise.errors import InvalidData, InvalidModel
from edgewise.records import Input, Prediction
from edgewise.tasks.softmax import predictions


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer from `tokenizer.json`, or from a folder with that file or a `vocab.txt`.

    Raises
    ------
    InvalidModel
        When there is none, or it can't be read.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    vocabulary = file.with_name("vocab.txt")
    if vocabulary.exists() and (file == vocabulary or not file.exists()):
        return BertWordPieceTokenizer(str(vocabulary))._tokenizer  # noqa: SLF001 - its only way out
    if not file.exists():
        hint = "put tokenizer.json beside the model, or set model.tokenizer"
        raise InvalidModel("there is no tokenizer", where=str(file), hint=hint)
    try:
        return Tokenizer.from_file(str(file))
    except Exception as broken:  # noqa: BLE001 - tokenizers raises bare Exception
        raise InvalidModel(
            f"not a tokenizer: {broken}", where=str(file), hint="export it again"
        ) from broken


class TextClassification:
    """Text to token ids, logits to labels. Made by `open_task`."""

    def __init__(self, tokenizer: Tokenizer, labels: tuple[str, ...], max_length: int) -> None:
        self.labels = labels
        self._tokenizer = tokenizer
        self._pad = _padding_id(tokenizer)
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)

    def encode(self, inputs: Sequence[Input]) -> dict[str, NDArray[np.generic]]:
        """Give `input_ids`, `attention_mask` and `token_type_ids` of shape (n, longest)."""
        if len(inputs) == 1:
            ids = np.array([self._tokenizer.encode(_text(inputs[0])).ids], dtype=np.int64)
            return {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
        rows = [e.ids for e in self._tokenizer.encode_batch([_text(one) for one in inputs])]
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
        return len(self._tokenizer.encode(_text(one)).ids)


def _text(one: Input) -> str:
    text = one.get("text")
    if not isinstance(text, str):
        what = "the input has no `text`" if text is None else f"`text` is a {type(text).__name__}"
        raise InvalidData(what, where="input", hint='give {"text": "..."}')
    return text


def _padding_id(tokenizer: Tokenizer) -> int:
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    for name in ("[PAD]", "<pad>"):
        found = tokenizer.token_to_id(name)
        if found is not None:
            return int(found)
    return 0
