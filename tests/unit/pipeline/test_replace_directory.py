"""A run's bundle is swapped in whole."""

from pathlib import Path

import pytest

from edgewise.errors import StorageError
from edgewise.pipeline.cache import replace_directory


def test_a_folder_is_swapped_in_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "runs/target"
    source.mkdir()
    (source / "new").touch()

    replace_directory(source, target)
    (target / "stray").touch()
    replace_directory(source, target)

    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_an_absent_source_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()

    with pytest.raises(StorageError) as caught:
        replace_directory(tmp_path / "nowhere", target)

    assert caught.value.where == str(target)
    assert (target / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
