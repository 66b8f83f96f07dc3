"""The budget of a policy in the trace's time: days of 86,400 s and months of 30 days."""

from edgewise.records import BudgetRules, SpendingLimit, nano_usd

_DAY_S = 86_400.0
_MONTH_S = 30 * _DAY_S
_NO_END = 10**18


class SpendingBook:
    """Money in one simulation, for callers without names. Reserved before a call, settled after."""

    def __init__(self, rules: BudgetRules) -> None:
        self._limits = (rules.total, rules.callers.get("", rules.each_caller))
        self._window = (0, 0)
        self._spent = [0, 0]

    def left_nano(self, now_s: float) -> int:
        """Give what may be spent, in billionths of a dollar."""
        self._turn(now_s)
        return min(self._left(limit) for limit in self._limits)

    def reserve(self, now_s: float, usd: float) -> bool:
        """Take the price of a call; `False` where it is not left."""
        price = nano_usd(usd)
        if price > self.left_nano(now_s):
            return False
        self._spent = [spent + price for spent in self._spent]
        return True

    def give_back(self, usd: float) -> None:
        """Return the price of a call that cost nothing."""
        self._spent = [max(0, spent - nano_usd(usd)) for spent in self._spent]

    def _left(self, limit: SpendingLimit) -> int:
        ends = (limit.usd_per_day, limit.usd_per_month)
        return min(
            _NO_END if usd is None else nano_usd(usd) - spent
            for usd, spent in zip(ends, self._spent, strict=True)
        )

    def _turn(self, now_s: float) -> None:
        window = (int(now_s // _DAY_S), int(now_s // _MONTH_S))
        if window[0] != self._window[0]:
            self._spent[0] = 0
        if window[1] != self._window[1]:
            self._spent[1] = 0
        self._window = window
