"""The one guard for optional imports: a missing dependency becomes advice."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgewise.errors import MissingExtra


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into the name of the extra to install.

    Parameters
    ----------
    extra
        The extra's name as `pyproject.toml` has it.

    Raises
    ------
    MissingExtra
        When the block raises `ModuleNotFoundError`.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        what = f"`{missing.name}` is not installed"
        raise MissingExtra(what, hint=f'pip install "edgewise[{extra}]"') from missing
