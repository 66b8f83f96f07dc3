"""The budget: money is reserved before a call and settled after it, and never overrun."""

import contextlib
import math
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Self

from edgewise.errors import StorageError, UsageError
from edgewise.records import BudgetRules, Spending, SpendingLimit, nano_usd
from edgewise.route.clock import Clock, SystemClock
from edgewise.route.sqlite import open_file, storage_error, written_whole

_NAME = "budget"
_TABLES = """
create table if not exists counted (
    place integer primary key autoincrement, caller text not null, window text not null,
    nano_usd integer not null, unique (caller, window)
)
"""
_DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal()
_ALL = "all"
_LEASES = 64
"""A window's money comes from the disk in so many parts: as many syncs, and as much as one part
lost to a crash."""
_ASK_AGAIN_S = 1.0
"""How long a window that was empty is taken as empty: other processes may give back."""
_WINDOWS_KEPT = 100
"""The last that were begun, whatever their dates: a clock that jumped far ahead deletes nothing."""
_NANO = 1e9


class _Account:
    """The money of one window of one caller, or of all, that this process may spend.

    `free` is leased from the file and neither reserved nor spent; `room` is what the file had
    left when it was last asked.
    """

    __slots__ = ("asked_s", "caller", "free", "limit", "low", "pending", "room", "window")

    def __init__(self, caller: str, window: str, limit: int, room: int) -> None:
        self.caller = caller
        self.window = window
        self.limit = limit
        self.low = limit // (2 * _LEASES)
        self.free = 0
        self.room = room
        self.pending = 0
        self.asked_s = -math.inf


class Reservation:
    """Money set aside for one call. Made by `Budget.reserve`; settled once."""

    __slots__ = ("accounts", "nano")

    def __init__(self, accounts: tuple[_Account, ...], nano: int) -> None:
        self.accounts: tuple[_Account, ...] | None = accounts
        self.nano = nano

    @property
    def usd(self) -> float:
        """Give the amount set aside."""
        return self.nano / _NANO


class Budget:
    """What may be spent in a UTC day and month, by all and by each caller. Made by the composer.

    Any thread, and any task of an event loop, may reserve and settle: microseconds, from money
    that was leased from the file beforehand in parts of 1/64 of a limit; a thread leases the next
    part early. Only a caller that outruns it, or the first of a window, waits for the disk.

    *No overrun.* The file counts leased money as spent. So a process that is killed loses the
    rest of its leases and what it had reserved, both of which stay counted as spent, and nothing
    spent is ever forgotten; closing gives the rest back. Processes may share a file. Amounts are
    whole billionths of a dollar, rounded up, so that sums are exact. Only a call that costs more
    than was reserved for it exceeds a limit, by that much: reserve the most that it can cost.

    *Windows.* A call counts in the window in which it was reserved. The wall clock says which one
    that is, and no clock makes a window hold more than its limit: one that jumps back finds what
    that window has spent, one that jumps ahead spends of a later window.

    Raises
    ------
    StorageError, SchemaMismatch
        When the file can't be opened.
    """

    def __init__(self, rules: BudgetRules, *, clock: Clock | None = None) -> None:
        self.rules = rules
        self.path = Path(rules.path)
        self._clock = SystemClock() if clock is None else clock
        self._gate = threading.Lock()  # over amounts in memory; held for microseconds
        self._disk = threading.Lock()  # over the file, the windows and the sets of accounts
        self._day = math.nan
        self._windows = ("", "")
        self._totals: tuple[_Account, ...] = ()
        self._callers: dict[str, tuple[_Account, ...]] = {}
        self._held: set[_Account] = set()
        self._low: set[tuple[_Account, ...]] = set()
        self._closed = False
        self._failure: StorageError | None = None
        self._connection = open_file(self.path, _TABLES, self._clock, name=_NAME, exclusive=False)
        self._wake = threading.Event()
        self._lender = threading.Thread(target=self._lend, name="budget", daemon=True)
        self._lender.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def failure(self) -> StorageError | None:
        """Say why the file could not be written at the last try: then nothing is granted."""
        return self._failure

    def reserve(self, caller: str, usd: float) -> Reservation | None:
        """Set money aside for a call, or give `None`: no budget is left for it.

        Parameters
        ----------
        caller
            Who pays; an empty name is one more caller.
        usd
            The most that the call can cost.

        Raises
        ------
        InvalidRecord
            When the amount is no amount.
        UsageError
            When the budget is closed.
        """
        nano = nano_usd(usd)
        accounts = self._accounts_of(caller)
        if not self._take(accounts, nano) and not self._lease_and_take(accounts, nano):
            return None
        return Reservation(accounts, nano)

    def settle(self, reservation: Reservation, usd: float) -> None:
        """Say what the call cost in the end: 0 for one that was not made.

        Raises
        ------
        InvalidRecord
            When the amount is no amount; the reservation stays.
        UsageError
            When it was settled before, or the budget is closed.
        StorageError
            When it cost more than was leased, and that can't be written; it counts in memory.
        """
        nano = nano_usd(usd)
        overrun = False
        with self._gate:
            self._check_open()
            accounts = reservation.accounts
            if accounts is None:
                hint = "settle each reservation once"
                raise UsageError("the reservation is settled", where="Budget.settle", hint=hint)
            reservation.accounts = None
            back = reservation.nano - nano
            for account in accounts:
                account.free += back
                account.pending -= 1
                overrun = overrun or account.free < 0
        if overrun:
            with self._disk, self._reading():
                self._write_back([account for account in accounts if account.free < 0])

    def left_usd(self, caller: str) -> float:
        """Give what a caller can still reserve, for the decision; infinite without a limit.

        A hint read from memory: other processes and callers may be faster. `reserve` has the word.
        """
        accounts = self._accounts_of(caller)
        left = min((account.room + account.free for account in accounts), default=math.inf)
        if left <= 0:
            self._ask_again(accounts)
        return max(0.0, left / _NANO)

    def spent(self, caller: str | None = None) -> Spending:
        """Give what the file counts in the current windows, of all or of one caller.

        What is reserved or leased is in it. Where no limit is set, nothing is counted.

        Raises
        ------
        StorageError
            When the file can't be read.
        """
        who = _ALL if caller is None else _row_name(caller)
        self._turn()
        with self._disk, self._reading():
            day, month = (self._counted(who, window) for window in self._windows)
        return Spending(day_usd=day / _NANO, month_usd=month / _NANO)

    def close(self) -> None:
        """Give back what was leased and not spent; what is still reserved stays counted.

        A second call does nothing.

        Raises
        ------
        StorageError
            When the file can't be written: then the leases stay counted as spent.
        """
        with self._gate:
            if self._closed:
                return
            self._closed = True
        self._wake.set()
        self._lender.join()
        with self._disk:
            try:
                with self._reading():
                    self._write_back(self._held)
            finally:
                self._connection.close()

    # In memory

    def _accounts_of(self, caller: str) -> tuple[_Account, ...]:
        if self._clock.utc_s() // _DAY_S != self._day:
            self._turn()
        found = self._callers.get(caller)
        return self._open(caller) if found is None else found

    def _take(self, accounts: tuple[_Account, ...], nano: int) -> bool:
        low = False
        with self._gate:
            if self._closed:
                self._check_open()
            for account in accounts:
                if account.free < nano:
                    return False
            for account in accounts:
                account.free -= nano
                account.pending += 1
                low = low or (account.free < account.low and account.room > 0)
            if low:
                self._low.add(accounts)
        if low:
            self._wake.set()
        return True

    def _ask_again(self, accounts: tuple[_Account, ...]) -> None:
        now_s = self._clock.now_s()
        with self._gate:
            if all(now_s - account.asked_s < _ASK_AGAIN_S for account in accounts):
                return
            self._low.add(accounts)
        self._wake.set()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the budget is closed", where=str(self.path), hint="close it last")

    # On the disk

    def _turn(self) -> None:
        """Begin the windows that the clock shows, and give back what the last ones held."""
        with self._disk:
            self._check_open()
            day = self._clock.utc_s() // _DAY_S
            if day == self._day:
                return
            ordinal = min(max(1.0, _EPOCH_DAY + day), _LAST_DAY)
            name = date.fromordinal(int(ordinal)).isoformat()
            self._windows = (name, name[:7])
            # Where the disk fails, what was leased stays counted as spent, until it is tried again.
            with contextlib.suppress(StorageError), self._reading():
                self._write_back(self._held)
                self._held = {one for one in self._held if one.pending or one.free}
                self._connection.execute(
                    "delete from counted where window in (select window from counted "
                    "group by window order by max(place) desc limit -1 offset ?)",
                    (_WINDOWS_KEPT,),
                )
            with self._gate:
                self._low.clear()  # or the lender would lease for accounts that nobody asks
            self._totals = self._accounts_for(_ALL, self.rules.total)
            self._callers = {}
            self._day = day

    def _open(self, caller: str) -> tuple[_Account, ...]:
        with self._disk:
            self._check_open()
            found = self._callers.get(caller)
            if found is None:
                limit = self.rules.callers.get(caller, self.rules.each_caller)
                found = self._totals + self._accounts_for(_row_name(caller), limit)
                self._callers[caller] = found
            return found

    def _accounts_for(self, who: str, limit: SpendingLimit) -> tuple[_Account, ...]:
        accounts = []
        for window, usd in zip(
            self._windows, (limit.usd_per_day, limit.usd_per_month), strict=True
        ):
            if usd is not None:
                nano, counted = nano_usd(usd), 0
                with contextlib.suppress(sqlite3.Error):  # a lease will ask again, and say it
                    counted = self._counted(who, window)
                accounts.append(_Account(who, window, nano, nano - counted))
        return tuple(accounts)

    def _lend(self) -> None:
        """Lease the next part before the last one is spent."""
        while True:
            self._wake.wait()
            self._wake.clear()
            while True:
                with self._disk:
                    with self._gate:
                        if self._closed:
                            return
                        if not self._low:
                            break
                        accounts = self._low.pop()
                    self._lease(accounts, 0)

    def _lease_and_take(self, accounts: tuple[_Account, ...], nano: int) -> bool:
        """Lease what the call needs, again where others were faster to take it."""
        while True:
            with self._disk:
                if self._take(accounts, nano):
                    return True
                now_s = self._clock.now_s()
                for account in accounts:
                    fresh = now_s - account.asked_s < _ASK_AGAIN_S
                    if fresh and account.free + account.room < nano:
                        return False
                if not self._lease(accounts, nano):
                    return False

    def _lease(self, accounts: Sequence[_Account], nano: int) -> bool:
        """Move money from the file to memory, where all windows have enough for `nano`."""
        now_s = self._clock.now_s()
        parts: list[tuple[_Account, int]] = []
        try:
            with self._reading(), written_whole(self._connection):
                for account in accounts:
                    account.room = account.limit - self._counted(account.caller, account.window)
                    account.asked_s = now_s
                enough = all(nano <= account.free + account.room for account in accounts)
                for account in accounts if enough else ():
                    if account.free < max(nano, account.low):
                        part = max(nano - account.free, account.limit // _LEASES)
                        parts.append((account, max(0, min(account.room, part))))
                for account, part in parts:
                    self._count(account, part)
        except StorageError as failure:
            self._failure = failure
            return False
        self._failure = None
        with self._gate:
            for account, part in parts:
                account.room -= part
                account.free += part
        self._held.update(accounts)
        return enough

    def _write_back(self, accounts: Collection[_Account]) -> None:
        """Give the file what is free, and tell it what was spent beyond."""
        with self._gate:
            parts = [(account, account.free) for account in accounts if account.free]
            for account, _ in parts:
                account.free = 0
        if not parts:
            return
        try:
            with written_whole(self._connection):
                for account, part in parts:
                    self._count(account, -part)
        except BaseException:
            with self._gate:
                for account, part in parts:
                    account.free += part
            raise
        for account, part in parts:
            account.room += part

    def _counted(self, who: str, window: str) -> int:
        sql = "select nano_usd from counted where caller = ? and window = ?"
        row = self._connection.execute(sql, (who, window)).fetchone()
        return 0 if row is None else int(row[0])

    def _count(self, account: _Account, nano: int) -> None:
        if nano:
            self._connection.execute(
                "insert into counted (caller, window, nano_usd) values (?, ?, ?) "
                "on conflict do update set nano_usd = nano_usd + excluded.nano_usd",
                (account.caller, account.window, nano),
            )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Say a failure of SQLite in our words."""
        try:
            yield
        except sqlite3.Error as failure:
            raise storage_error(failure, self.path, _NAME) from failure


def _row_name(caller: str) -> str:
    """Lone surrogates have no UTF-8, so SQLite would refuse them."""
    return "=" + caller.encode("utf-8", "backslashreplace").decode()
