"""What may be done a share of the time: retries, hedges, audits."""


class Allowance:
    """Allows something as a share of the calls, with a burst for when there were few.

    A failing endpoint then gets a tenth more traffic, not several times as much.
    """

    __slots__ = ("_burst", "_left", "share")

    def __init__(self, *, share: float = 0.1, burst: float = 10.0) -> None:
        self.share = share
        """May be changed: by a policy that is exchanged."""
        self._burst = burst
        self._left = burst

    @property
    def has_one(self) -> bool:
        """Say whether one is left."""
        return self._left >= 1.0

    def deposit(self) -> None:
        """Note a call."""
        self._left = min(self._burst, self._left + self.share)

    def withdraw(self) -> bool:
        """Take one; `False` when none is left."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
