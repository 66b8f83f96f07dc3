"""API keys are read where the policy says, and never shown."""

from pathlib import Path

import pytest

from edgewise.errors import InvalidSpec
from edgewise.records import ApiKey
from edgewise.route.secrets import read_secret


def test_a_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWISE_TEST_KEY", "hunter2")

    assert read_secret(ApiKey(env="EDGEWISE_TEST_KEY")) == "hunter2"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEWISE_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("EDGEWISE_TEST_KEY", value)

    with pytest.raises(InvalidSpec) as caught:
        read_secret(ApiKey(env="EDGEWISE_TEST_KEY"))

    assert caught.value.where == "$EDGEWISE_TEST_KEY"
    assert "not set" in caught.value.what
    assert "export" in caught.value.hint


def test_a_key_is_read_from_a_file_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n", encoding="utf-8")

    assert read_secret(ApiKey(file=str(tmp_path / "key"))) == "hunter2"


def test_an_absent_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec) as caught:
        read_secret(ApiKey(file=str(tmp_path / "key")))

    assert caught.value.where == str(tmp_path / "key")
    assert "can't be read" in caught.value.what
    assert "permissions" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(InvalidSpec) as caught:
        read_secret(ApiKey(file=str(tmp_path / "key")))

    assert "empty" in caught.value.what
    assert caught.value.hint


def test_a_key_file_that_is_no_text_is_refused_unseen(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"hunter2\xff\xfe")

    with pytest.raises(InvalidSpec) as caught:
        read_secret(ApiKey(file=str(tmp_path / "key")))

    assert "UTF-8" in caught.value.what
    assert "hunter2" not in str(caught.value)
