import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from edgewise.errors import InvalidData, InvalidModel
from edgewise.records import BundleManifest, Task
from edgewise.tasks import TaskModel, open_task
from edgewise.tasks.text import TextClassification, load_tokenizer
from edgewise.testing.models import tiny_text_bundle

LABELS = ("negative", "positive")
WORDPIECE = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "##ness")
CLS, SEP, UNK, GOOD, BAD = 2, 3, 1, 4, 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_text_bundle(tmp_path / "bundle")


@pytest.fixture
def task(folder: Path) -> TextClassification:
    return TextClassification(load_tokenizer(folder), LABELS, 6)


def write_vocabulary(folder: Path) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join(WORDPIECE) + "\n", encoding="utf-8")
    return path


def test_one_text_becomes_three_tensors_without_padding(task: TextClassification) -> None:
    found = task.encode([{"text": "Good thing"}])

    assert list(found) == ["input_ids", "attention_mask", "token_type_ids"]
    assert {value.dtype.name for value in found.values()} == {"int64"}
    assert found["input_ids"].tolist() == [[CLS, GOOD, UNK, SEP]]
    assert found["attention_mask"].tolist() == [[1, 1, 1, 1]]
    assert found["token_type_ids"].tolist() == [[0, 0, 0, 0]]


def test_batch_is_padded_to_its_longest_only(task: TextClassification) -> None:
    found = task.encode([{"text": "bad"}, {"text": "good bad"}, {"text": ""}])

    assert found["input_ids"].tolist() == [
        [CLS, BAD, SEP, 0],
        [CLS, GOOD, BAD, SEP],
        [CLS, SEP, 0, 0],
    ]
    assert found["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]


def test_empty_batch_has_no_rows(task: TextClassification) -> None:
    assert task.encode([])["input_ids"].shape == (0, 0)


def test_empty_text_is_its_special_tokens(task: TextClassification) -> None:
    assert task.encode([{"text": ""}])["input_ids"].tolist() == [[CLS, SEP]]
    assert task.length({"text": ""}) == 2


def test_long_text_is_cut_at_max_length(task: TextClassification) -> None:
    text = {"text": "good " * 50}

    assert task.encode([text])["input_ids"].tolist() == [[CLS, *[GOOD] * 4, SEP]]
    assert task.length(text) == 6


@pytest.mark.parametrize("text", ["\0", "\U0001f600 \u202e", " \t\n", "a" * 100_000])
def test_strange_text_is_answered(task: TextClassification, text: str) -> None:
    assert 2 <= task.length({"text": text}) <= 6


def test_what_was_read_ahead_is_the_answers_input(task: TextClassification) -> None:
    ahead = task.read_ahead({"text": "Good thing"})
    first, then = (task.encode([{"text": "Good thing"}])["input_ids"].tolist() for _ in range(2))

    assert ahead == task.length({"text": "Good thing"}) == 4
    assert first == then == [[CLS, GOOD, UNK, SEP]]


def test_what_is_read_ahead_and_never_asked_is_not_kept_for_ever(task: TextClassification) -> None:
    lengths = [task.read_ahead({"text": f"good {n}"}) for n in range(1000)]
    long = task.read_ahead({"text": "good " * 10_000})

    assert lengths == [4] * 1000
    assert long == 6
    assert len(task._ahead) <= 64
    assert task.encode([{"text": "good"}])["input_ids"].tolist() == [[CLS, GOOD, SEP]]


@pytest.mark.parametrize(
    ("one", "what", "hint"),
    [
        ({}, "the input has no `text`", 'give {"text": "..."}'),
        ({"text": None}, "the input has no `text`", 'give {"text": "..."}'),
        ({"text": 7}, "`text` is a int", 'give {"text": "..."}'),
        ({"text": ["a"]}, "`text` is a list", 'give {"text": "..."}'),
        ({"text": b"a"}, "`text` is a bytes", 'give {"text": "..."}'),
        (
            {"text": "\ud800"},
            "`text` holds half of a surrogate pair",
            "give text that UTF-8 can hold",
        ),
    ],
)
def test_what_is_no_text_is_invalid_data(
    task: TextClassification, one: dict[str, object], what: str, hint: str
) -> None:
    for ask in (lambda: task.encode([one]), lambda: task.length(one)):
        with pytest.raises(InvalidData) as caught:
            ask()

        assert (caught.value.what, caught.value.where, caught.value.hint) == (what, "input", hint)


def test_invalid_text_never_shows_in_the_error(task: TextClassification) -> None:
    with pytest.raises(InvalidData) as caught:
        task.encode([{"text": "my secret \ud800"}])

    assert "secret" not in str(caught.value)


def test_max_length_without_room_for_text_is_invalid(folder: Path) -> None:
    with pytest.raises(InvalidModel) as caught:
        TextClassification(load_tokenizer(folder), LABELS, 2)

    assert caught.value.what == "max_length is 2, and 2 special tokens stand around each text"
    assert caught.value.where == "max_length"
    assert caught.value.hint == "set max_length to 3 or more"


def test_padding_of_the_tokenizer_is_taken_for_its_token_only(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.enable_padding(pad_id=7, pad_token="awful", length=32)

    found = TextClassification(tokenizer, LABELS, 6).encode([{"text": ""}, {"text": "good"}])

    assert found["input_ids"].tolist() == [[CLS, SEP, 7], [CLS, GOOD, SEP]]


def test_tokenizer_without_padding_token_pads_with_zeros(folder: Path) -> None:
    described = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    del described["model"]["vocab"]["[PAD]"]
    described["added_tokens"] = described["added_tokens"][1:]

    task = TextClassification(Tokenizer.from_str(json.dumps(described)), LABELS, 6)

    assert task.encode([{"text": ""}, {"text": "bad"}])["input_ids"].tolist()[0] == [CLS, SEP, 0]


def test_vocabulary_alone_makes_a_word_piece_tokenizer(tmp_path: Path) -> None:
    path = write_vocabulary(tmp_path)

    for place in (tmp_path, path, tmp_path / "tokenizer.json"):
        assert load_tokenizer(place).encode("Goodness").tokens == [
            "[CLS]",
            "good",
            "##ness",
            "[SEP]",
        ]


def test_a_vocabulary_with_capitals_keeps_case_and_accents(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[unused1]", "good", "Good", "##ness", "café"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")

    found = load_tokenizer(tmp_path).encode("Goodness good café")

    assert found.tokens == ["[CLS]", "Good", "##ness", "good", "café", "[SEP]"]


def test_tokenizer_json_goes_before_a_vocabulary(folder: Path) -> None:
    write_vocabulary(folder)

    assert load_tokenizer(folder).encode("goodness").tokens == ["[CLS]", "[UNK]", "[SEP]"]


def test_absent_tokenizer_is_an_invalid_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel) as caught:
        load_tokenizer(tmp_path)

    assert caught.value.what == "there is no tokenizer"
    assert caught.value.where == str(tmp_path / "tokenizer.json")
    assert caught.value.hint == "put tokenizer.json beside the model, or set model.tokenizer"


@pytest.mark.parametrize(
    ("name", "content"),
    [("tokenizer.json", b"{}"), ("tokenizer.json", b"\xff"), ("vocab.txt", b"just\nwords\n")],
)
def test_broken_tokenizer_is_an_invalid_model(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidModel) as caught:
        load_tokenizer(tmp_path)

    assert caught.value.what.startswith("not a tokenizer: ")
    assert caught.value.where == str(tmp_path / name)
    assert caught.value.hint == "export it again"


def test_manifest_opens_its_task(folder: Path) -> None:
    manifest = BundleManifest(
        name="tiny", task=Task.TEXT_CLASSIFICATION, labels=LABELS, files={}, max_length=3
    )

    task: TaskModel = open_task(manifest, folder)

    assert task.labels == LABELS
    assert task.length({"text": "good good good"}) == 3


class Noting:
    """A tokenizer that notes how long the texts are that it reads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.read: list[int] = []

    def encode(self, text: str) -> Any:
        self.read.append(len(text))
        return self._tokenizer.encode(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


PIECES = (
    "good",
    "goodness",
    "Good ",
    " ",
    "[SEP]",
    "x!",
    "é",
    "e\u0301",
    " \u0301",
    "中",
    "\n",
    "Σ",
    "x" * 99,
    "goodé" * 30,
    "가" * 60,
    "²" * 101,
    "_",
    "  ",
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), st.integers(1, 800))
def test_a_long_texts_beginning_has_the_tokens_of_the_whole(pieces: list[str], times: int) -> None:
    text = "".join(pieces) * times
    with tempfile.TemporaryDirectory() as folder:
        path = write_vocabulary(Path(folder))
        plain = load_tokenizer(path)
        task = TextClassification(load_tokenizer(path), LABELS, 6)
    plain.no_padding()
    plain.enable_truncation(6)

    assert task.encode([{"text": text}])["input_ids"].tolist() == [plain.encode(text).ids]


def test_of_a_very_long_text_only_the_beginning_is_read(tmp_path: Path) -> None:
    noting = Noting(load_tokenizer(write_vocabulary(tmp_path)))
    task = TextClassification(noting, LABELS, 6)  # type: ignore[arg-type]

    cut = [task.length({"text": text * 100_000}) for text in ("good ", "!", "中")]
    begun = list(noting.read)
    little = [task.length({"text": text * 100_000}) for text in (" ", "x", "é", "İ", "7")]
    kept = max(noting.read)
    marks = task.length({"text": "e" + "\u0301" * 100_000})
    with pytest.raises(InvalidData, match="half of a surrogate pair"):
        task.length({"text": "good " * 1000 + "\ud800"})

    assert (cut, little) == ([6, 6, 6], [2, 3, 3, 3, 3])
    assert max(begun) < 2000
    assert kept < 2000  # words and gaps without end are cut
    assert (marks, max(noting.read)) == (3, 100_001)  # too few tokens in its beginning


def test_where_a_word_may_hold_a_token_of_its_own_it_is_read_to_its_end(tmp_path: Path) -> None:
    plain = load_tokenizer(write_vocabulary(tmp_path))
    plain.add_tokens(["bad"])
    text = "x" * 100_000 + "bad"

    task = TextClassification(plain, LABELS, 8)

    assert task.length({"text": text}) == 4
