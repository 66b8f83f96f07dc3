import pytest

from edgewise import extras
from edgewise.errors import MissingExtra


def test_missing_dependency_names_the_extra_to_install() -> None:
    with pytest.raises(MissingExtra) as caught, extras.needed("optimize"):
        import edgewise_has_no_such_module  # type: ignore[import-not-found] # noqa: F401, PLC0415

    assert caught.value.what == "`edgewise_has_no_such_module` is not installed"
    assert caught.value.where == ""
    assert caught.value.hint == 'pip install "edgewise[optimize]"'
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_installed_dependency_passes() -> None:
    with extras.needed("optimize"):
        import json  # noqa: PLC0415

    assert json.loads("1") == 1


def test_other_failures_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), extras.needed("optimize"):
        raise ZeroDivisionError
