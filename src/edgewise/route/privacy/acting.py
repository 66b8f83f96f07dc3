"""From the kinds found in a request to what is done with it."""

from collections.abc import Sequence
from typing import NamedTuple

from edgewise.records import PrivacyAction, PrivacyActions


class Verdict(NamedTuple):
    """What the kinds found in one request ask for; the strictest of them rules."""

    keep: tuple[str, ...]
    """Kinds that keep it on the device."""
    redact: tuple[str, ...]
    """Kinds that are hidden from every tier but the device."""
    refuse: tuple[str, ...]
    """Kinds for which it is not answered."""


_NOTHING = Verdict((), (), ())


def judge(found: Sequence[str], actions: PrivacyActions) -> Verdict:
    """Sort the kinds found in a request by their action.

    Examples
    --------
    >>> judge(["email", "card"], PrivacyActions(by_kind={"email": PrivacyAction.REDACT}))
    Verdict(keep=('card',), redact=('email',), refuse=())
    """
    if not found:
        return _NOTHING
    return Verdict(
        keep=tuple(kind for kind in found if actions.of(kind) is PrivacyAction.KEEP),
        redact=tuple(kind for kind in found if actions.of(kind) is PrivacyAction.REDACT),
        refuse=tuple(kind for kind in found if actions.of(kind) is PrivacyAction.REFUSE),
    )
