"""What can be read off a prompt in microseconds: its form, and its words.

The form is a vector of `FEATURES`: lengths, kinds of words in the question and in the options,
characters, and how alike the options are. The words are hashes of single tokens and of neighbours.
Nothing here is fitted, and nothing depends on the process: hashes are CRC-32.
"""

import math
import re
import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

HEAD_CHARACTERS, TAIL_CHARACTERS = 3072, 1024
"""Of a longer prompt only its head and its tail are read, so that reading has a longest time."""


class _Kind(IntEnum):
    """What a token is; each is exactly one."""

    SHORT = 0
    MIDDLE = 1
    LONG = 2
    NEGATION = 3
    REASONING = 4
    QUANTIFIER = 5
    PRONOUN = 6
    FUNCTION = 7
    QUESTION = 8
    SMALL_NUMBER = 9
    YEAR = 10
    NUMBER = 11
    OPERATOR = 12
    LETTER = 13
    MARK = 14
    FOREIGN = 15


_LISTS = {
    _Kind.NEGATION: "not no never none neither nor except without isn aren doesn don "
    "cannot won wasn didn wrong incorrect false least unlikely nothing",
    _Kind.REASONING: "if then suppose assume assuming therefore because given calculate compute "
    "determine find evaluate consider must likely best would could should most following true "
    "statement solve prove show explain compare",
    _Kind.QUANTIFIER: "all both only always some any every each many few more less",
    _Kind.PRONOUN: "he she his her him they them their it its you we my your our i me us",
    _Kind.FUNCTION: "the of a an in to and is are was were be been by for with on at from as or "
    "that this these those has have had will can may",
}
_QUESTION_WORDS = {
    word: float(at)
    for at, word in enumerate(
        ("what", "which", "who", "whom", "whose", "when", "where", "why", "how"), 1
    )
}
_OPERATORS = frozenset("=+-*/^<>|~×÷≤≥√∑∫")
_TOKEN = re.compile(r"\w+|\S")
_OPTION_STARTS = frozenset("ABCDEFGHIJabcdefghij123456789")
_OPTIONS_READ = 6
_CHARACTERS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", ",", '"“”', "()[]{}", "\n", "_", "'", "$"
_MORE_CHARACTERS = ";", ":", "%", "?", ".", "=+-*/^<>|\\", "", " \t"
_KINDS = len(_Kind)
_KIND_SHIFT = 32
_HASH_MASK = 0xFFFFFFFF
_WORDS_KEPT, _LONGEST_KEPT = 1 << 16, 32
"""Longer words are rare, and of whoever sends them: they are neither remembered nor piled up."""


def _character_groups() -> NDArray[np.float32]:
    groups = (*_CHARACTERS, *_MORE_CHARACTERS)
    table = np.zeros((256, len(groups)), np.float32)
    for column, characters in enumerate(groups):
        for byte in (ord(c) for c in characters if ord(c) < 128):
            table[byte, column] = 1.0
    table[128:, groups.index("")] = 1.0
    return table


_GROUPS = _character_groups()
_LENGTHS, _OPTION_FEATURES = 10, 13
_OPTIONAL = _LENGTHS + _KINDS
_CHARACTERS_AT = _OPTIONAL + _KINDS
_OPTIONS_AT = _CHARACTERS_AT + 1 + _GROUPS.shape[1]
FEATURES = _OPTIONS_AT + _OPTION_FEATURES


class _Codes(dict[str, int]):
    """The code of each word: its hash, and above it its kind. Remembers the words it has met."""

    def __missing__(self, word: str) -> int:
        code = zlib.crc32(word.encode("utf-8", "replace")) | _kind(word) << _KIND_SHIFT
        if len(word) <= _LONGEST_KEPT and len(self) < _WORDS_KEPT:
            self[word] = code
        return code


def _kind(word: str) -> _Kind:
    for kind, words in _WORD_SETS.items():
        if word in words:
            return kind
    if word in _QUESTION_WORDS:
        return _Kind.QUESTION
    first = word[0]
    if first.isdigit():
        year = len(word) == 4 and "1000" <= word <= "2029"
        small = _Kind.SMALL_NUMBER if len(word) <= 2 else _Kind.NUMBER
        return _Kind.YEAR if year else small
    if not first.isalpha():
        return _Kind.OPERATOR if first in _OPERATORS else _Kind.MARK
    if not word.isascii():
        return _Kind.FOREIGN
    sizes = ((1, _Kind.LETTER), (3, _Kind.SHORT), (8, _Kind.MIDDLE))
    return next((kind for longest, kind in sizes if len(word) <= longest), _Kind.LONG)


_WORD_SETS = {kind: frozenset(words.split()) for kind, words in _LISTS.items()}
_code = _Codes().__getitem__


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt as read."""

    form: NDArray[np.float32]
    """Shape (`FEATURES`,)."""
    words: NDArray[np.int64]
    """Hashes in 0..2³²-1 of tokens and of pairs of neighbours, some of them more than once."""


def read(prompt: str) -> Reading:
    """Read a prompt; any string will do, the empty one too."""
    length = len(prompt)
    if length > HEAD_CHARACTERS + TAIL_CHARACTERS:
        prompt = f"{prompt[:HEAD_CHARACTERS]}\n{prompt[-TAIL_CHARACTERS:]}"
    question, options = _split(prompt)
    asked = _TOKEN.findall(question.lower())
    offered = [_TOKEN.findall(option.lower()) for option in options]
    tokens = asked + [token for option in offered for token in option]
    codes = np.fromiter(map(_code, tokens), np.int64, len(tokens))
    kinds = codes >> _KIND_SHIFT
    counts = np.bincount(kinds[: len(asked)], minlength=_KINDS)
    optional = np.bincount(kinds[len(asked) :], minlength=_KINDS)
    form = np.empty(FEATURES, np.float32)
    form[:_LENGTHS] = _lengths(length, question, asked, tokens)
    np.log1p(counts, out=form[_LENGTHS:_OPTIONAL], casting="unsafe")
    np.divide(
        optional,
        len(tokens) - len(asked) + 1.0,
        out=form[_OPTIONAL:_CHARACTERS_AT],
        casting="unsafe",
    )
    _characters(prompt, form[_CHARACTERS_AT:_OPTIONS_AT])
    form[_OPTIONS_AT:] = _options(options, offered, set(asked))
    return Reading(form, _hashes(codes & _HASH_MASK))


def _split(prompt: str) -> tuple[str, list[str]]:
    """Part the question from its options: lines such as `B. text`, `(B) text` or `2) text`."""
    question: list[str] = []
    options: list[str] = []
    for line in prompt.split("\n"):
        head = line[1:] if line[:1] == "(" else line
        if head[1:2] and head[1] in ".):" and head[0] in _OPTION_STARTS:
            options.append(head[2:])
        elif not options:
            question.append(line)
    if len(options) < 2:
        return prompt, []
    return "\n".join(question), options


def _lengths(length: int, question: str, asked: list[str], tokens: list[str]) -> list[float]:
    stripped = question.rstrip()
    end = len(stripped) - 1
    start = max(stripped.rfind(". ", 0, end), stripped.rfind("? ", 0, end), -1) + 1
    start = max(start, stripped.rfind("\n", 0, end) + 1)
    last = len(stripped) - start
    word = next((_QUESTION_WORDS[t] for t in reversed(asked) if t in _QUESTION_WORDS), 0.0)
    n = len(tokens) or 1
    return [
        math.log1p(length),
        math.log1p(len(stripped)),
        math.log1p(last),
        last / (len(stripped) + 1.0),
        math.log1p(len(asked)),
        len(set(tokens)) / n,
        sum(map(len, tokens)) / n,
        word,
        float("?" in stripped[start:]),
        float("___" in question or "..." in question),
    ]


def _characters(prompt: str, out: NDArray[np.float32]) -> None:
    found = np.frombuffer(prompt.encode("utf-8", "replace"), np.uint8)
    counts = np.bincount(found, minlength=256).astype(np.float32)
    n = len(found) + 1.0
    out[0] = math.log(n) - float(counts @ np.log(counts + 1e-30)) / n
    np.divide(counts @ _GROUPS, n, out=out[1:])


def _options(options: list[str], offered: list[list[str]], asked: set[str]) -> list[float]:
    if not options:
        return [0.0] * _OPTION_FEATURES
    n = len(options)
    lengths = [len(option) for option in options]
    mean = sum(lengths) / n
    spread = math.sqrt(sum((x - mean) ** 2 for x in lengths) / n)
    sets = [set(tokens) for tokens in offered[:_OPTIONS_READ]]
    alike = [
        len(a & b) / (len(a) + len(b) - len(a & b) or 1)
        for i, a in enumerate(sets)
        for b in sets[:i]
    ]
    starts = [tokens[0] if tokens else "" for tokens in offered]
    stripped = [option.strip() for option in options]
    return [
        float(n),
        math.log1p(mean),
        math.log1p(max(lengths)),
        math.log1p(min(lengths)),
        spread / (mean + 1.0),
        sum(alike) / len(alike),
        max(alike),
        sum(len(one & asked) / (len(one) or 1) for one in sets) / len(sets),
        len(set(starts)) / n,
        sum(option[:1].isupper() for option in stripped) / n,
        sum(option[-1:] == "." for option in stripped) / n,
        float("above" in offered[-1]),
        float("none" in offered[-1]),
    ]


def _hashes(words: NDArray[np.int64]) -> NDArray[np.int64]:
    pairs = (words[:-1] * 0x9E3779B1 + words[1:] * 0x85EBCA6B) & _HASH_MASK
    return np.concatenate([words, pairs])
