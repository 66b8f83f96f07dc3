"""How much to prune: a share in [0, 1) of a number of units, at least one of which stays."""

from edgewise.errors import UsageError


def check_share(share: float) -> None:
    """Refuse a share outside [0, 1).

    Raises
    ------
    UsageError
        When it is, or is not a number.
    """
    if not 0.0 <= share < 1.0:
        what = f"the share to prune is {share}"
        raise UsageError(what, where="share", hint="give a share of at least 0 and below 1")


def count_of(share: float, units: int) -> int:
    """Give how many units go: the share, rounded down; the last one always stays."""
    return min(int(share * units + 1e-9), units - 1)
