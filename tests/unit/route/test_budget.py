"""Money that can't be overrun: reserved, settled, kept over restarts, shared by threads."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from full_disk import full_disk

from edgewise.errors import InvalidRecord, SchemaMismatch, StorageError, UsageError
from edgewise.records import BudgetRules, SpendingLimit
from edgewise.route import Budget
from edgewise.testing.route import FakeClock

DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def rules(path: Path, **more: Any) -> BudgetRules:
    return BudgetRules(
        path=str(path / "budget"), total=SpendingLimit(usd_per_day=1.0, usd_per_month=10.0), **more
    )


def grant(budget: Budget, usd: float, most: int = 10_000, caller: str = "") -> int:
    """Reserve and settle until nothing is granted."""
    for turn in range(most):
        reservation = budget.reserve(caller, usd)
        if reservation is None:
            return turn
        budget.settle(reservation, usd)
    return most


def test_a_day_holds_its_limit_to_the_cent(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        assert grant(budget, 0.01) == 100
        assert budget.left_usd("") == 0.0
        assert budget.spent().day_usd == 1.0
        assert 1.0 <= budget.spent().month_usd <= 1.0 + 2 * 10 / 64  # with what is leased


def test_what_was_not_spent_comes_back(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        whole = budget.reserve("", 1.0)
        none = budget.reserve("", 0.01)
        assert whole is not None
        assert whole.usd == 1.0
        budget.settle(whole, 0.25)
        clock.wait(1.0)

        assert none is None
        assert grant(budget, 0.25) == 3


def test_a_new_day_has_its_own_limit_within_the_months(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        days = []
        for _ in range(12):
            days.append(0)
            for _ in range(3):  # what the lender holds for a moment is refused for a moment
                days[-1] += grant(budget, 0.125)
                clock.wait(2.0)
            clock.wait(DAY_S)

    # FakeClock starts on 14 November 2023: 12 days stay within the month, which holds ten dollars.
    assert days == [8] * 10 + [0] * 2


def test_a_clock_that_jumps_back_finds_what_was_spent(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        spent = [grant(budget, 0.125)]
        clock.wait(DAY_S)
        spent.append(grant(budget, 0.125))
        clock.wall_s -= DAY_S
        spent.append(grant(budget, 0.125))
        clock.wall_s += 400 * DAY_S
        spent.append(grant(budget, 0.125))

    assert spent == [8, 8, 0, 8]


def test_each_caller_has_a_limit_within_that_of_all(tmp_path: Path, clock: FakeClock) -> None:
    limits = rules(
        tmp_path,
        each_caller=SpendingLimit(usd_per_day=0.25),
        callers={"vip": SpendingLimit(usd_per_day=0.5), "free": SpendingLimit()},
    )
    with Budget(limits, clock=clock) as budget:
        found = {name: grant(budget, 0.125, caller=name) for name in ("a", "\ud800", "vip", "free")}
        spent = budget.spent("vip").day_usd

    # 0.25 + 0.25 + 0.5 are a dollar: nothing is left for the last.
    assert found == {"a": 2, "\ud800": 2, "vip": 4, "free": 0}
    assert spent == 0.5


def test_without_a_limit_everything_is_granted(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(BudgetRules(path=str(tmp_path / "b")), clock=clock) as budget:
        assert grant(budget, 1e6, most=5) == 5
        assert budget.left_usd("x") == float("inf")
        assert budget.spent().day_usd == 0.0


def test_a_restart_remembers_and_closing_gives_leases_back(
    tmp_path: Path, clock: FakeClock
) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        first = grant(budget, 0.01, most=30)
    with Budget(rules(tmp_path), clock=clock) as budget:
        assert budget.spent().day_usd == pytest.approx(0.3)
        second = grant(budget, 0.01)

    assert (first, second) == (30, 70)


def test_what_is_reserved_at_the_end_stays_counted(tmp_path: Path, clock: FakeClock) -> None:
    budget = Budget(rules(tmp_path), clock=clock)
    assert budget.reserve("", 0.5) is not None
    budget.close()
    budget.close()

    with Budget(rules(tmp_path), clock=clock) as again:
        assert grant(again, 0.125) == 4


def test_a_call_that_cost_more_than_reserved_counts_whole(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        reservation = budget.reserve("", 0.9)
        assert reservation is not None
        budget.settle(reservation, 1.25)

        assert budget.spent().day_usd == 1.25
        assert budget.reserve("", 0.001) is None


def test_two_processes_share_a_file(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(rules(tmp_path), clock=clock) as one, Budget(rules(tmp_path), clock=clock) as two:
        total = 0
        while granted := grant(one, 0.01, most=7) + grant(two, 0.01, most=7):
            total += granted
            clock.wait(2.0)

    assert total == 100


def test_a_settled_reservation_is_not_settled_again(tmp_path: Path, clock: FakeClock) -> None:
    budget = Budget(rules(tmp_path), clock=clock)
    reservation = budget.reserve("", 0.1)
    assert reservation is not None
    budget.settle(reservation, 0.1)

    with pytest.raises(UsageError, match="is settled"):
        budget.settle(reservation, 0.1)
    budget.close()
    for closed in (lambda: budget.reserve("", 0.1), budget.spent):
        with pytest.raises(UsageError, match="closed"):
            closed()
    with pytest.raises(UsageError, match="closed"):
        budget.reserve("new caller", 0.1)


@pytest.mark.parametrize("usd", [-0.1, float("nan"), float("inf"), 2e9])
def test_what_is_no_amount_is_refused(tmp_path: Path, clock: FakeClock, usd: float) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        reservation = budget.reserve("", 0.5)
        assert reservation is not None
        with pytest.raises(InvalidRecord):
            budget.reserve("", usd)
        with pytest.raises(InvalidRecord):
            budget.settle(reservation, usd)
        budget.settle(reservation, 0.0)


def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "budget").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match="not a whole budget"):
        Budget(rules(tmp_path), clock=clock)

    import sqlite3  # noqa: PLC0415 - to make a file of another version

    (tmp_path / "budget").unlink()
    with sqlite3.connect(tmp_path / "budget") as other:
        other.execute("pragma user_version = 99")
    other.close()
    with pytest.raises(SchemaMismatch, match="99"):
        Budget(rules(tmp_path), clock=clock)


def test_a_full_disk_grants_what_was_leased_and_then_nothing(
    tmp_path: Path, clock: FakeClock
) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        assert grant(budget, 0.001, most=1) == 1
        with full_disk():
            granted = grant(budget, 0.001)
            assert budget.failure is not None
        assert granted < 100
        clock.wait(2.0)
        assert grant(budget, 0.001) == 999 - granted
        assert budget.failure is None


def test_a_thousand_threads_and_tasks_never_overrun(tmp_path: Path) -> None:
    clock = FakeClock()
    with Budget(rules(tmp_path), clock=clock) as budget:
        granted: list[float] = []
        go = threading.Barrier(20)

        def call(number: int) -> None:
            reservation = budget.reserve(f"caller {number % 3}", 0.003)
            if reservation is not None:
                budget.settle(reservation, 0.003 if number % 2 else 0.0015)
                granted.append(0.003 if number % 2 else 0.0015)

        def work(first: int) -> None:
            go.wait()

            async def task(number: int) -> None:
                await asyncio.sleep(0)
                call(number)

            async def many() -> None:
                await asyncio.gather(*(task(first + turn) for turn in range(50)))

            asyncio.run(many())

        threads = [threading.Thread(target=work, args=(50 * turn,)) for turn in range(20)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        spent = sum(granted)
    with Budget(rules(tmp_path), clock=clock) as again:
        counted = again.spent().day_usd

    assert len(granted) > 300
    assert spent <= 1.0 + 1e-9
    assert counted == pytest.approx(spent)


CHILD = """
import sys
from edgewise.records import BudgetRules, SpendingLimit
from edgewise.route import Budget

budget = Budget(BudgetRules(path=sys.argv[1], total=SpendingLimit(usd_per_day=1.0)))
while True:
    reservation = budget.reserve("", 0.001)
    if reservation is None:
        break
    print("granted", flush=True)
    budget.settle(reservation, 0.001)
print("empty", flush=True)
sys.stdin.read()
"""


def killed_after(path: Path, count: int) -> int:
    """Let a process spend, kill it after some grants, and give how many it was granted."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COVERAGE_PROCESS_START": ""},
    )
    assert child.stdout is not None
    seen = 0
    for line in child.stdout:
        if line == "empty\n":
            break
        seen += 1
        if seen >= count:
            break
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    return seen + rest.count("granted")


def test_a_killed_process_forgets_nothing_that_it_spent(tmp_path: Path) -> None:
    granted = sum(killed_after(tmp_path / "budget", count) for count in (1, 37, 200, 150))
    with Budget(
        BudgetRules(path=str(tmp_path / "budget"), total=SpendingLimit(usd_per_day=1.0))
    ) as budget:
        counted = budget.spent().day_usd
        left = grant(budget, 0.001)

    # Each death costs at most the leases that lay in memory, a part of 1/64 and what came early.
    assert 0.001 * granted <= counted + 1e-9
    assert granted + left <= 1000
    assert granted + left >= 1000 - 4 * 3 * 1000 // 64 - 4


def test_a_window_is_turned_while_the_disk_is_full(tmp_path: Path, clock: FakeClock) -> None:
    with Budget(rules(tmp_path), clock=clock) as budget:
        held = budget.reserve("", 0.5)
        assert held is not None
        clock.wait(DAY_S)
        with full_disk():
            assert budget.reserve("", 0.25) is None
        clock.wait(2.0)
        budget.settle(held, 0.25)

        assert grant(budget, 0.25) == 4
