"""The budget of a policy in the trace's time: days of 86,400 s and months of 30 days."""

from collections.abc import Iterable

from edgewise.records import BudgetRules, nano_usd

_DAY_S = 86_400.0
_MONTH_S = 30 * _DAY_S
_NO_END = 10**18


class SpendingBook:
    """Money in one simulation, for callers without names. Reserved before a call, settled after."""

    def __init__(self, rules: BudgetRules) -> None:
        limits = (rules.total, rules.callers.get("", rules.each_caller))
        self._day_nano = _least(limit.usd_per_day for limit in limits)
        self._month_nano = _least(limit.usd_per_month for limit in limits)
        self._prices: dict[float, int] = {}
        self._day = self._month = 0
        self._spent_day = self._spent_month = 0

    def left_nano(self, now_s: float) -> int:
        """Give what may be spent, in billionths of a dollar."""
        day, month = int(now_s // _DAY_S), int(now_s // _MONTH_S)
        if day != self._day:
            self._day, self._spent_day = day, 0
        if month != self._month:
            self._month, self._spent_month = month, 0
        return min(self._day_nano - self._spent_day, self._month_nano - self._spent_month)

    def reserve(self, now_s: float, usd: float) -> bool:
        """Take the price of a call; `False` where it is not left."""
        price = self._nano(usd)
        if price > self.left_nano(now_s):
            return False
        self._spent_day += price
        self._spent_month += price
        return True

    def give_back(self, reserved_s: float, usd: float) -> None:
        """Return the price of a call that cost nothing to the day and the month it is of."""
        price = self._nano(usd)
        if int(reserved_s // _DAY_S) == self._day:
            self._spent_day -= price
        if int(reserved_s // _MONTH_S) == self._month:
            self._spent_month -= price

    def _nano(self, usd: float) -> int:
        found = self._prices.get(usd)
        if found is None:
            found = self._prices[usd] = nano_usd(usd)
        return found


def _least(ends_usd: Iterable[float | None]) -> int:
    return min((nano_usd(usd) for usd in ends_usd if usd is not None), default=_NO_END)
