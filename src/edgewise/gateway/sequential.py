"""Whether one way fails more often than another, by a test that may be looked at at any time."""


class FailsMore:
    """An e-process against: the canary fails no more often than the control.

    Under that hypothesis the chance that `e` ever reaches 1/alpha is at most alpha, however often
    it is looked at. Each block is what the control answered since the last one, and one answer of
    the canary; what is bet on it was learned from the blocks before.

    Source: Turner, Ly and Grünwald, Generic E-variables for exact sequential k-sample tests that
    allow for optional stopping, 2021, theorem 1. There the hypothesis is equal shares; a canary
    that fails less often only makes `e` smaller. Assumes that which way a request goes does not
    depend on it, and that answers within a way are exchangeable.
    """

    __slots__ = ("_block", "canary", "control", "e")

    def __init__(self) -> None:
        self.e = 1.0
        self.control, self.canary = [0, 0], [0, 0]
        """Answers and failures of each way."""
        self._block = [0, 0]

    def see_control(self, *, failed: bool) -> None:
        """Note an answer of the control."""
        self._block[0] += 1
        self._block[1] += failed

    def see_canary(self, *, failed: bool) -> float:
        """Note an answer of the canary, which ends the block; gives `e`."""
        n, failures = self._block
        if n:
            self._bet(n, failures, failed=failed)
            self.control[0] += n
            self.control[1] += failures
            self._block = [0, 0]
        self.canary[0] += 1
        self.canary[1] += failed
        return self.e

    def _bet(self, n: int, failures: int, *, failed: bool) -> None:
        usual, here = _share(self.control), _share(self.canary)
        if here <= usual:
            return  # nothing is bet against it
        both = (n * usual + here) / (n + 1)
        self.e *= (usual / both) ** failures
        self.e *= ((1.0 - usual) / (1.0 - both)) ** (n - failures)
        self.e *= here / both if failed else (1.0 - here) / (1.0 - both)


def _share(seen: list[int]) -> float:
    """Give the share of failures as learned so far, never 0 or 1."""
    return (seen[1] + 0.18) / (seen[0] + 0.36)
