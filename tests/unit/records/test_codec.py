import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgewise.errors import InvalidRecord, SchemaMismatch, StorageError
from edgewise.records import (
    ImageInput,
    Loss,
    Origin,
    decode,
    digest,
    encode,
    read_json,
    write_json,
    write_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    loss: Loss = Loss.NET
    share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    name: str
    count: int = 0
    sure: bool = False
    pair: tuple[str, int] = ("a", 1)
    leaves: tuple[Leaf, ...] = ()
    by_name: dict[str, Leaf] = field(default_factory=dict)
    maybe: float | None = None
    anything: Any = None


REST = "write it anew with `edgewise run`"


def refusal(body: object) -> InvalidRecord:
    with pytest.raises(InvalidRecord) as caught:
        decode(Tree, body)
    return caught.value


def test_a_byte_order_mark_before_a_record_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "leaf.json"
    path.write_text(json.dumps(encode(Leaf(share=0.25))), encoding="utf-8-sig")

    assert read_json(Leaf, path) == Leaf(share=0.25)


def test_record_becomes_plain_json_with_the_version_first() -> None:
    tree = Tree(name="x", leaves=(Leaf(),), by_name={"k": Leaf(loss=Loss.REGRET)}, maybe=1.5)

    found = encode(tree)

    assert list(found)[:2] == ["schema_version", "name"]
    assert found == {
        "schema_version": 1,
        "name": "x",
        "count": 0,
        "sure": False,
        "pair": ["a", 1],
        "leaves": [{"loss": "net", "share": 0.5}],
        "by_name": {"k": {"loss": "regret", "share": 0.5}},
        "maybe": 1.5,
        "anything": None,
    }
    assert decode(Tree, found) == tree


def test_absent_field_with_a_default_takes_it() -> None:
    assert decode(Tree, {"schema_version": 1, "name": "x"}) == Tree(name="x")


def test_whole_number_reads_as_a_float_and_anything_as_it_is() -> None:
    found = decode(Tree, {"schema_version": 1, "name": "x", "maybe": 2, "anything": [{}]})

    assert found.maybe == 2.0
    assert isinstance(found.maybe, float)
    assert found.anything == [{}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_number_that_is_not_finite_is_not_written(value: float) -> None:
    with pytest.raises(InvalidRecord) as caught:
        encode(Tree(name="x", leaves=(Leaf(), Leaf(share=value))))

    assert caught.value.what == f"not a finite number: {value}"
    assert caught.value.where == "Tree.leaves[1].share"


def test_a_number_that_is_not_finite_is_found_in_a_mapping() -> None:
    with pytest.raises(InvalidRecord) as caught:
        encode(Tree(name="x", anything={"a": 1.0, "b": [math.inf]}))

    assert caught.value.where == "Tree.anything.b[0]"


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        ({"name": 3}, "should be of type str: 3", "Tree.name"),
        ({"name": None}, "should be of type str: None", "Tree.name"),
        ({"count": 1.0}, "should be of type int: 1.0", "Tree.count"),
        ({"count": True}, "should be of type int: True", "Tree.count"),
        ({"sure": 1}, "should be of type bool: 1", "Tree.sure"),
        ({"maybe": "1"}, "should be a number: '1'", "Tree.maybe"),
        ({"maybe": False}, "should be a number: False", "Tree.maybe"),
        ({"maybe": math.nan}, "should be a finite number: nan", "Tree.maybe"),
        ({"maybe": -math.inf}, "should be a finite number: -inf", "Tree.maybe"),
        ({"maybe": 10**400}, "should be a finite number: 1" + "0" * 79, "Tree.maybe"),
        ({"pair": ["a"]}, "should be a list of 2: ['a']", "Tree.pair"),
        ({"pair": ["a", "b"]}, "should be of type int: 'b'", "Tree.pair[1]"),
        ({"leaves": {}}, "should be a list: {}", "Tree.leaves"),
        ({"leaves": [{}, 3]}, "should be an object: 3", "Tree.leaves[1]"),
        ({"by_name": []}, "should be an object: []", "Tree.by_name"),
        (
            {"by_name": {"k": {"loss": "NET"}}},
            "should be one of net, regret, kept_error, disagreement: 'NET'",
            "Tree.by_name.k.loss",
        ),
        ({"name": ["x" * 200]}, "should be of type str: ['" + "x" * 78, "Tree.name"),
    ],
)
def test_value_of_another_type_names_its_path(
    change: dict[str, object], what: str, where: str
) -> None:
    found = refusal({"schema_version": 1, "name": "x", **change})

    assert (found.what, found.where, found.hint) == (what, where, REST)


def test_unknown_field_is_named() -> None:
    found = refusal({"schema_version": 1, "name": "x", "leaves": [{"shape": 1}]})

    assert found.what == "unknown field `shape`"
    assert found.where == "Tree.leaves[0]"
    assert found.hint == "was it made by a newer edgewise?"


def test_missing_field_is_named() -> None:
    found = refusal({"schema_version": 1})

    assert (found.what, found.where, found.hint) == ("field `name` is missing", "Tree", REST)


@pytest.mark.parametrize("body", [None, [], "text", 3])
def test_what_is_no_object_is_no_record(body: object) -> None:
    found = refusal(body)

    assert found.what == "not a JSON object"
    assert found.where == "Tree"
    assert found.hint == "was another file given?"


@pytest.mark.parametrize(
    ("body", "told"),
    [({}, "None"), ({"schema_version": 2}, "2"), ({"schema_version": "1"}, "'1'")],
)
def test_another_schema_version_is_told_before_anything_else(
    body: dict[str, object], told: str
) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        decode(Tree, {"unknown": 1, **body}, where="file.json")

    assert caught.value.what == f"schema version {told}, and this edgewise reads 1"
    assert caught.value.where == "file.json"
    assert caught.value.hint == "use the edgewise version that wrote it, or write it anew"


def test_hash_is_of_the_sorted_compact_json() -> None:
    text = '{"loss":"net","schema_version":1,"share":0.5}'

    assert digest(Leaf()) == hashlib.sha256(text.encode()).hexdigest()
    assert digest(Leaf(share=0.25)) != digest(Leaf())


def test_written_file_ends_with_a_line_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "leaf.json"

    write_json(path, Leaf())

    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert read_json(Leaf, path) == Leaf()
    assert list(path.parent.iterdir()) == [path]


def test_record_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "leaf.json"
    write_json(path, Leaf())

    with pytest.raises(InvalidRecord):
        write_json(path, Leaf(share=float("nan")))

    assert read_json(Leaf, path) == Leaf()
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()

    with pytest.raises(StorageError) as caught:
        write_text(path, "text")

    assert caught.value.what == "can't write: Is a directory"
    assert caught.value.where == str(path)
    assert caught.value.hint == "free some space or pick another place"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(path, "text")

        assert os.read(reader, 100) == b"text"
        assert path.is_fifo()
        assert list(tmp_path.iterdir()) == [path]
    finally:
        os.close(reader)


def test_a_folder_is_no_broken_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecord) as caught:
        read_json(Leaf, tmp_path)

    assert caught.value.what == "can't be read: Is a directory"
    assert caught.value.where == str(tmp_path)
    assert caught.value.hint == "give the path of the file"


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecord) as caught:
        read_json(Leaf, tmp_path / "leaf.json")

    assert caught.value.what == "no such file"
    assert caught.value.where == str(tmp_path / "leaf.json")
    assert caught.value.hint == "did `edgewise run` finish?"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe{}", b"<html>", b"[" * 100_000, b"9" * 5_000]
)
def test_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "leaf.json"
    path.write_bytes(content)

    with pytest.raises(InvalidRecord) as caught:
        read_json(Leaf, path)

    assert caught.value.what.startswith("can't be read as JSON: ")
    assert (caught.value.where, caught.value.hint) == (str(path), REST)


def test_file_of_another_record_names_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "leaf.json"
    path.write_text(json.dumps(encode(ImageInput(height=1, width=1))), encoding="utf-8")

    with pytest.raises(InvalidRecord) as caught:
        read_json(Leaf, path)

    assert caught.value.what == "unknown field `height`"
    assert caught.value.where == str(path)


def test_enums_keep_their_values_for_old_files() -> None:
    assert [origin.value for origin in Origin] == ["measured", "given", "assumed"]
