"""A package's public names load with their module, and only then."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

LAZY = ("edgewise", "edgewise.records", "edgewise.report")


def promised(package: str) -> dict[str, str]:
    """Read which module a type checker takes each name from, without running anything."""
    module = importlib.import_module(package)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    checked = next(one for one in tree.body if isinstance(one, ast.If))
    found: dict[str, str] = {}
    for one in checked.body:
        assert isinstance(one, ast.ImportFrom)
        assert one.module is not None
        found |= {alias.name: one.module for alias in one.names}
    return found


@pytest.mark.parametrize("package", LAZY)
def test_a_name_is_the_one_that_a_type_checker_sees(package: str) -> None:
    module = importlib.import_module(package)
    homes = promised(package)

    assert sorted(homes) == sorted(module.__all__)
    for name, home in homes.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("package", LAZY)
def test_names_are_listed_before_they_are_loaded(package: str) -> None:
    module = importlib.import_module(package)

    assert set(module.__all__) <= set(dir(module))
    assert "__name__" in dir(module)


@pytest.mark.parametrize("package", LAZY)
def test_a_name_that_is_not_there_is_no_attribute(package: str) -> None:
    module = importlib.import_module(package)

    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        _ = module.Nothing


def test_one_record_brings_in_no_other_ones() -> None:
    code = (
        "import sys; from edgewise.records import ApiKey, Policy;"
        "print([name for name in ('placing', 'simulation', 'plan', 'project')"
        " if f'edgewise.records.{name}' in sys.modules], ApiKey.__name__)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split() == ["[]", "ApiKey"]
