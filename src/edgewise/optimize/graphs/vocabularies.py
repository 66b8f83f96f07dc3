"""Tokenizer files cut down to some of their tokens, so that the rest still tokenizes.

Each kind keeps what makes its own search end as before wherever the tokens were kept:
WordPiece takes the longest piece that there is, so fewer pieces change nothing where the longest
stayed; BPE keeps every merge on the way to a token, in order; Unigram keeps the lowest score,
which the penalty for unknown characters is counted from.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from edgewise.errors import InvalidModel

KINDS = ("WordPiece", "BPE", "Unigram")
_BYTES = frozenset(f"<0x{byte:02X}>" for byte in range(256))


class Vocabulary:
    """A parsed `tokenizer.json`. Made by the trimming of vocabularies.

    Raises
    ------
    InvalidModel
        When the text is no tokenizer, or one of a kind that can't be cut down.
    """

    def __init__(self, text: str) -> None:
        try:
            self._parsed: dict[str, Any] = json.loads(text)
            self._model: dict[str, Any] = self._parsed["model"]
            kind = self._model.get("type", "absent")
        except (ValueError, KeyError, TypeError, AttributeError) as broken:
            raise _no_tokenizer(f"not a tokenizer: {broken!r}") from broken
        if kind not in KINDS:
            raise _no_tokenizer(f"a `{kind}` tokenizer can't be cut down; looked for {KINDS}")
        if kind == "BPE" and self._model.get("continuing_subword_prefix"):
            raise _no_tokenizer("BPE with a prefix for continued words can't be cut down")
        self.kind = str(kind)
        held = self._model["vocab"]
        pieces = [piece for piece, _ in held] if kind == "Unigram" else None
        self.ids = {p: i for i, p in enumerate(pieces)} if pieces is not None else dict(held)
        self._added: list[dict[str, Any]] = self._parsed.get("added_tokens") or []
        self.ids.update({token["content"]: token["id"] for token in self._added})
        self._merges = [_pair(merge) for merge in self._model.get("merges", [])]
        self._ranks = {pair: rank for rank, pair in enumerate(self._merges)}
        self._used_merges: set[tuple[str, str]] = set()

    def needed(self, tokens: Iterable[str], words: Iterable[str]) -> set[str]:
        """Give the tokens to keep: those given, the fallbacks, and what leads to them.

        Parameters
        ----------
        tokens
            That the domain's texts became.
        words
            Of the domain, as the tokenizer splits them before it looks pieces up.
        """
        kept = {token for token in tokens if token in self.ids}
        kept |= {token["content"] for token in self._added}
        kept |= {token for token in self.ids if self._is_fallback(token)}
        kept |= {str(self._model.get("unk_token"))} & self.ids.keys()
        kept |= self._named()
        if self.kind == "Unigram":
            kept |= self._unigram_anchors()
        if self.kind == "WordPiece":
            for word in words:
                kept |= self._longest_pieces(word)
        if self.kind == "BPE":
            for token in list(kept):
                kept |= self._derive(token)
        return kept

    def cut(self, new_ids: dict[int, int]) -> str:
        """Give the file with the tokens that `new_ids` has a number for."""
        parsed = json.loads(json.dumps(self._parsed))
        model = parsed["model"]
        if self.kind == "Unigram":
            rows = enumerate(self._model["vocab"])
            model["vocab"] = [row for index, row in rows if index in new_ids]
            if self._model.get("unk_id") is not None:
                model["unk_id"] = new_ids[self._model["unk_id"]]
        else:
            held = self._model["vocab"].items()
            model["vocab"] = {piece: new_ids[i] for piece, i in held if i in new_ids}
        if self.kind == "BPE":
            used = zip(self._merges, self._model["merges"], strict=True)
            model["merges"] = [raw for pair, raw in used if pair in self._used_merges]
        for token in parsed.get("added_tokens") or []:
            token["id"] = new_ids[token["id"]]
        if parsed.get("padding"):
            parsed["padding"]["pad_id"] = new_ids[parsed["padding"]["pad_id"]]
        _renumber(parsed.get("post_processor"), new_ids)
        return json.dumps(parsed, ensure_ascii=False)

    def _is_fallback(self, token: str) -> bool:
        prefix = self._model.get("continuing_subword_prefix") or ""
        suffix = self._model.get("end_of_word_suffix") or ""
        bare = token.removeprefix(prefix) if prefix and token != prefix else token
        bare = bare.removesuffix(suffix) if suffix and bare != suffix else bare
        return len(bare) == 1 or token in _BYTES

    def _named(self) -> set[str]:
        """Give the tokens that the file names by number, which no text need have."""
        padding = self._parsed.get("padding") or {}
        numbers = {padding.get("pad_id"), *_numbers_of(self._parsed.get("post_processor"))}
        return {token for token, number in self.ids.items() if number in numbers}

    def _unigram_anchors(self) -> set[str]:
        rows = self._model["vocab"]
        lowest = min(range(len(rows)), key=lambda index: rows[index][1])
        unknown = self._model.get("unk_id")
        return {rows[index][0] for index in (lowest, unknown) if index is not None}

    def _longest_pieces(self, word: str) -> set[str]:
        """Give the pieces that the search takes, also of a word that it then gives up."""
        prefix = self._model.get("continuing_subword_prefix") or ""
        found: set[str] = set()
        start = 0
        if len(word) > self._model.get("max_input_chars_per_word", 100):
            return found
        while start < len(word):
            lead = prefix if start else ""
            ends = range(len(word), start, -1)
            end = next(
                (end for end in ends if lead + word[start:end] in self._model["vocab"]), None
            )
            if end is None:
                return found
            found.add(lead + word[start:end])
            start = end
        return found

    def _derive(self, token: str) -> set[str]:
        """Give what the merges make on the way to a token, and note the merges."""
        suffix = self._model.get("end_of_word_suffix") or ""
        bare = token.removesuffix(suffix) if suffix else token
        parts = list(bare)
        if suffix and bare != token and parts:
            parts[-1] += suffix
        made = set()
        while len(parts) > 1:
            pairs = enumerate(pairwise(parts))
            ranked = [(self._ranks[pair], at) for at, pair in pairs if pair in self._ranks]
            if not ranked:
                break
            at = min(ranked)[1]
            self._used_merges.add((parts[at], parts[at + 1]))
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
            made.add(parts[at])
        return made


def _no_tokenizer(what: str) -> InvalidModel:
    return InvalidModel(what, where="tokenizer.json", hint="leave the vocabulary as it is")


def _pair(merge: str | list[str]) -> tuple[str, str]:
    first, second = merge.split(" ", 1) if isinstance(merge, str) else merge
    return first, second


def _numbers_of(processor: dict[str, Any] | None) -> list[int]:
    """Give the numbers that `_renumber` changes."""
    if not processor:
        return []
    found = [n for inner in processor.get("processors", []) for n in _numbers_of(inner)]
    for token in (processor.get("special_tokens") or {}).values():
        found += token["ids"]
    return [*found, *(processor[name][1] for name in ("sep", "cls") if name in processor)]


def _renumber(processor: dict[str, Any] | None, new_ids: dict[int, int]) -> None:
    """Give a post-processor the new numbers of the special tokens."""
    if not processor:
        return
    for inner in processor.get("processors", []):
        _renumber(inner, new_ids)
    for token in (processor.get("special_tokens") or {}).values():
        token["ids"] = [new_ids[i] for i in token["ids"]]
    for name in ("sep", "cls"):
        if name in processor:
            content, old = processor[name]
            processor[name] = [content, new_ids[old]]
