"""What the package gives by name."""

import pytest

from edgewise import route


def test_every_exported_name_is_there() -> None:
    assert all(getattr(route, name) is not None for name in route.__all__)
    assert callable(route.decide)


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'moon'"):
        _ = route.moon
