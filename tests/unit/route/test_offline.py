"""The queue of requests that wait for the network."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from full_disk import full_disk

from edgewise.errors import IntegrityError, InvalidRecord, StorageError, UsageError
from edgewise.records import ApiKey, OfflineRules
from edgewise.route import Admission, LateAnswer, LateOutcome, LateRequest, OfflineQueue
from edgewise.testing.route import FakeClock

KEY = ApiKey(env="QUEUE_KEY")


@pytest.fixture
def rules(tmp_path: Path) -> OfflineRules:
    return OfflineRules(path=str(tmp_path / "queue"), max_age_s=100.0, keep_answers_s=1_000.0)


def opened(
    rules: OfflineRules, clock: FakeClock | None = None, secret: str | None = None
) -> OfflineQueue:
    clock = FakeClock() if clock is None else clock
    return OfflineQueue(rules, remote=["site", "cloud"], secret=secret, clock=clock)


def request(name: str, payload: bytes = b"a film", *, age_s: float | None = None) -> LateRequest:
    return LateRequest(request_id=name, payload=payload, allowed=("edge", "cloud"), max_age_s=age_s)


def answer(name: str, body: bytes = b"good") -> LateAnswer:
    return LateAnswer(request_id=name, outcome=LateOutcome.ANSWERED, body=body)


def ended(name: str, outcome: LateOutcome, error: str = "") -> LateAnswer:
    return LateAnswer(request_id=name, outcome=outcome, error=error)


def claimed(queue: OfflineQueue, limit: int = 100) -> list[str]:
    found = [one.request_id for one in queue.claim(limit)]
    queue.release()
    return found


def test_requests_come_out_in_the_order_in_which_they_came(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        for name in ("c", "a", "b"):
            assert queue.put(request(name)) is Admission.QUEUED

        first = queue.claim(2)
        second = queue.claim(2)

    assert [one.request_id for one in first] == ["c", "a"]
    assert [one.request_id for one in second] == ["b"]
    assert first[0].payload == b"a film"


def test_a_request_comes_out_without_the_tiers_that_the_queue_does_not_send_to(
    rules: OfflineRules,
) -> None:
    with opened(rules) as queue:
        queue.put(request("a"))

        assert queue.claim()[0].allowed == ("cloud",)


@pytest.mark.parametrize("allowed", [(), ("edge",), ("CLOUD",)])
def test_a_private_request_does_not_enter(rules: OfflineRules, allowed: tuple[str, ...]) -> None:
    with opened(rules) as queue:
        said = queue.put(LateRequest(request_id="a", payload=b"my iban", allowed=allowed))

        assert said is Admission.NO_REMOTE_TIER
        assert not said.accepted
        assert queue.state().waiting == 0
    assert b"my iban" not in Path(rules.path).read_bytes()


def test_an_answer_is_given_once(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        queue.put(request("a"))
        assert queue.take_answer("a") is None
        queue.claim()

        assert queue.settle([answer("a")]) == 1

        assert queue.answered_ids() == ["a"]
        assert queue.peek_answer("a") == answer("a")
        assert queue.take_answer("a") == answer("a")
        assert queue.take_answer("a") is None
        assert queue.peek_answer("a") is None
        assert queue.state().used_bytes == 0


def test_answers_are_taken_together(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        queue.put_many([request(name) for name in "abc"])
        queue.settle([answer("c"), answer("a")])

        assert queue.take_answers(["a", "b", "a", "c"]) == [answer("a"), answer("c")]
        assert queue.take_answers(["a", "b", "c"]) == []


def test_an_answer_that_comes_again_is_dropped(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        queue.put(request("a"))
        queue.settle([answer("a")])

        assert queue.settle([answer("a", b"another")]) == 0
        assert queue.take_answer("a") == answer("a")
        assert queue.settle([answer("a", b"another"), answer("stranger")]) == 0
        assert queue.answered_ids() == []


def test_a_request_put_again_is_known_until_long_after_its_answer(rules: OfflineRules) -> None:
    clock = FakeClock()
    with opened(rules, clock) as queue:
        queue.put(request("a"))
        assert queue.put(request("a")) is Admission.KNOWN
        assert queue.put(request("a", b"another film")) is Admission.ID_IN_USE
        assert not Admission.ID_IN_USE.accepted
        queue.settle([answer("a")])
        assert queue.put(request("a")) is Admission.KNOWN
        queue.take_answer("a")
        clock.wait(999.0)
        assert queue.put(request("a")) is Admission.KNOWN
        assert Admission.KNOWN.accepted
        assert queue.state().waiting == 0


def test_no_more_done_ids_are_kept_than_requests_may_wait(rules: OfflineRules) -> None:
    with opened(replace(rules, max_count=3)) as queue:
        for name in "abcde":
            queue.put(request(name))
            queue.settle([answer(name)])
            queue.take_answer(name)

        assert [queue.put(request(name)) for name in "cde"] == [Admission.KNOWN] * 3
        assert queue.put(request("b")) is Admission.QUEUED


def test_a_full_queue_says_so_until_an_answer_is_taken(rules: OfflineRules) -> None:
    with opened(replace(rules, max_count=2)) as queue:
        assert queue.put_many([request("a"), request("b"), request("c")]) == [
            Admission.QUEUED,
            Admission.QUEUED,
            Admission.QUEUE_FULL,
        ]
        queue.settle([answer("a")])
        assert queue.put(request("c")) is Admission.QUEUE_FULL
        queue.take_answer("a")

        assert queue.put(request("c")) is Admission.QUEUED


def test_bytes_are_bounded_with_room_for_each_answer(rules: OfflineRules) -> None:
    # A row counts 256 + 128 beside its names ("a", '["edge", "cloud"]': 1 + 17) and its content.
    tight = replace(rules, max_bytes=3_000, max_answer_bytes=1_000)
    with opened(tight) as queue:
        assert queue.put(request("l", b"x" * 2_599)) is Admission.TOO_LARGE
        assert queue.put(request("a", b"x" * 10)) is Admission.QUEUED
        assert queue.state().used_bytes == 1_402
        assert queue.put(request("b", b"x" * 1_197)) is Admission.QUEUE_FULL
        assert queue.put(request("b", b"x" * 1_196)) is Admission.QUEUED
        assert queue.state().used_bytes == 3_000

        queue.settle([answer("a", b"y" * 1_000)])

        assert queue.take_answer("a") == answer("a", b"y" * 1_000)


def test_an_answer_that_does_not_fit_is_said(rules: OfflineRules) -> None:
    with opened(replace(rules, max_bytes=3_000, max_answer_bytes=1_000)) as queue:
        queue.put_many([request("a"), request("b")])

        queue.settle([answer("a", b"y" * 1_300), answer("b", b"y" * 1_300)])

        # The first may use what the queue has left; then too little is left for the second.
        assert queue.take_answer("a") == answer("a", b"y" * 1_300)
        assert queue.take_answer("b") == ended("b", LateOutcome.ANSWER_TOO_LARGE)


def test_a_request_expires_and_says_so(rules: OfflineRules) -> None:
    clock = FakeClock()
    with opened(rules, clock) as queue:
        queue.put(request("old"))
        queue.put(request("hasty", age_s=30.0))
        queue.put(request("patient", age_s=1e9))
        clock.wait(50.0)
        queue.put(request("young"))

        assert claimed(queue) == ["old", "patient", "young"]
        assert queue.take_answer("hasty") == ended("hasty", LateOutcome.EXPIRED)
        clock.wait(50.0)
        assert queue.expire() == 2
        assert claimed(queue) == ["young"]
        assert queue.take_answer("patient") == ended("patient", LateOutcome.EXPIRED)


def test_what_is_under_way_does_not_expire(rules: OfflineRules) -> None:
    clock = FakeClock()
    with opened(rules, clock) as queue:
        queue.put(request("a"))
        queue.claim()
        clock.wait(1_000.0)

        assert queue.expire() == 0
        assert queue.settle([answer("a")]) == 1


def test_an_answer_that_nobody_takes_is_dropped_and_counted(rules: OfflineRules) -> None:
    clock = FakeClock()
    with opened(rules, clock) as queue:
        queue.put(request("a"))
        queue.settle([answer("a")])
        clock.wait(999.0)
        assert queue.expire() == 0
        clock.wait(1.0)
        assert queue.expire() == 1
        assert queue.take_answer("a") is None
        assert queue.state().dropped == 1
        assert queue.put(request("a")) is Admission.KNOWN


@pytest.mark.parametrize("jump_s", [-1e9, -3_600.0, 3_600.0, 1e9])
def test_no_jump_of_the_wall_clock_ends_a_request_while_the_process_runs(
    rules: OfflineRules, jump_s: float
) -> None:
    clock = FakeClock()
    with opened(rules, clock) as queue:
        queue.put(request("a"))
        clock.wall_s += jump_s
        clock.wait(99.0)
        assert claimed(queue) == ["a"]
        queue.put(request("b"))  # whoever writes notes the new time

    with opened(rules, clock) as queue:
        assert claimed(queue) == ["a", "b"]
        clock.wait(1.0)
        assert claimed(queue) == ["b"]


@pytest.mark.parametrize(
    ("away_s", "waits"), [(-1e8, True), (0.0, True), (98.0, True), (100.0, False)]
)
def test_the_wall_clock_says_how_long_the_process_was_away(
    rules: OfflineRules, away_s: float, *, waits: bool
) -> None:
    clock = FakeClock()
    with opened(rules, clock) as queue:
        queue.put(request("a"))
    rebooted = FakeClock(start_s=0.0)  # a monotonic clock begins anew with the machine
    rebooted.wall_s = clock.utc_s() + away_s

    with opened(rules, rebooted) as queue:
        assert claimed(queue) == (["a"] if waits else [])


def test_a_clock_that_was_never_set_ends_nothing_when_it_is(rules: OfflineRules) -> None:
    clock = FakeClock()
    clock.wall_s = 0.0  # 1970: no battery behind the clock
    with opened(rules, clock) as queue:
        queue.put(request("a"))
    clock.wall_s = 1.7e9

    with opened(rules, clock) as queue:
        assert claimed(queue) == ["a"]


def test_time_passes_for_a_queue_that_is_opened_again_and_again(rules: OfflineRules) -> None:
    clock = FakeClock()
    with opened(rules, clock) as queue:
        queue.put(request("a"))
    for _ in range(9):
        clock.wait(11.0)
        with opened(rules, clock) as queue:
            assert claimed(queue) == ["a"]
    clock.wait(1.0)
    with opened(rules, clock) as queue:
        assert claimed(queue) == []


def test_a_tier_that_fails_on_a_request_too_often_ends_it(rules: OfflineRules) -> None:
    with opened(replace(rules, max_tries=3)) as queue:
        queue.put(request("a"))
        assert queue.fail("a", "RemoteError") is None
        assert queue.fail("a", "RemoteError") is None

    with opened(replace(rules, max_tries=3)) as queue:
        assert queue.claim()[0].tries == 2
        given_up = ended("a", LateOutcome.GAVE_UP, "RemoteError")
        assert queue.fail("a", "RemoteError") == given_up
        assert queue.take_answer("a") == given_up
        assert queue.fail("a", "RemoteError") is None


def test_a_request_whose_tiers_are_gone_ends(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        queue.put_many([request(str(number)) for number in range(600)])
        queue.send_only_to(["site"])
        queue.put(LateRequest(request_id="s", payload=b"", allowed=("site", "cloud")))

        assert [(one.request_id, one.allowed) for one in queue.claim(2)] == [("s", ("site",))]
        assert queue.take_answer("7") == ended("7", LateOutcome.NO_REMOTE_TIER)
        assert queue.state().answered == 599


def test_a_closed_queue_takes_nothing(rules: OfflineRules) -> None:
    queue = opened(rules)
    queue.close()
    queue.close()

    with pytest.raises(UsageError) as caught:
        queue.put(request("a"))

    assert caught.value.what == "the offline queue is closed"
    assert caught.value.where == rules.path
    assert caught.value.hint == "close it last"


def test_one_queue_uses_a_file_at_a_time(rules: OfflineRules) -> None:
    with opened(rules), pytest.raises(StorageError) as caught:
        opened(rules)

    assert caught.value.what == "another process uses the offline queue"


@pytest.mark.parametrize("name", ["", "a\nb", "é", "x" * 201, "\udc80"])
def test_an_id_that_is_no_header_is_refused(name: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        request(name)

    assert caught.value.where == "LateRequest.request_id"
    assert caught.value.what == "the id can't be an HTTP header"
    assert caught.value.hint == "give 1 to 200 printable ASCII characters"


@pytest.mark.parametrize("age_s", [0.0, -1.0, float("nan")])
def test_an_age_is_above_nothing(age_s: float) -> None:
    with pytest.raises(InvalidRecord) as caught:
        request("a", age_s=age_s)

    assert caught.value.what == f"not above 0: {age_s}"
    assert (caught.value.where, caught.value.hint) == ("LateRequest.max_age_s", "leave it out")


# Sealed


def test_a_sealed_queue_shows_no_payload_and_no_answer(rules: OfflineRules) -> None:
    sealed = replace(rules, key=KEY)
    with opened(sealed, secret="secret") as queue:
        queue.put(request("a", b"a film about a bank"))
        queue.settle([answer("a", b"a good answer")])
        queue.put(request("b", b"a film about a train"))
        files = [path.read_bytes() for path in Path(rules.path).parent.iterdir()]

    assert len(files) == 2  # the log of what is not yet in the file is looked at, too
    assert not [1 for held in files if b"film" in held or b"good" in held or b"secret" in held]
    with opened(sealed, secret="secret") as queue:
        assert queue.claim()[0].payload == b"a film about a train"
        assert queue.take_answer("a") == answer("a", b"a good answer")


def test_an_unsealed_queue_overwrites_what_it_removes(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        queue.put(request("a", b"a film about a bank"))
        queue.settle([answer("a")])
        queue.take_answer("a")

    assert b"film" not in Path(rules.path).read_bytes()


def test_a_queue_opens_with_its_own_key_alone(rules: OfflineRules, tmp_path: Path) -> None:
    sealed = replace(rules, key=KEY)
    bare = replace(rules, path=str(tmp_path / "bare"))
    opened(sealed, secret="secret").close()
    opened(bare).close()

    cases: list[tuple[OfflineRules, str | None, str]] = [
        (sealed, "another", "sealed by another key, or changed"),
        (rules, None, "the queue is sealed"),
        (replace(bare, key=KEY), "secret", "the queue was made without a key"),
    ]
    for given, secret, what in cases:
        with pytest.raises(IntegrityError) as caught:
            opened(given, secret=secret)
        assert caught.value.what == what
        assert caught.value.where == given.path
        assert caught.value.hint == "give the key that sealed it, or another path"


@pytest.mark.parametrize("keyed", [True, False])
def test_a_key_and_its_secret_come_together(rules: OfflineRules, *, keyed: bool) -> None:
    with pytest.raises(UsageError) as caught:
        opened(replace(rules, key=KEY if keyed else None), secret=None if keyed else "secret")

    assert caught.value.where == "OfflineQueue"
    assert caught.value.what == "a secret without a key in the rules, or a key without its secret"
    assert caught.value.hint == "give both or neither"


def test_a_privacy_set_widened_in_the_file_does_not_open_a_sealed_request(
    rules: OfflineRules,
) -> None:
    sealed = replace(rules, key=KEY)
    with opened(sealed, secret="secret") as queue:
        queue.put(LateRequest(request_id="a", payload=b"film", allowed=("edge", "site")))
        queue.put(request("b"))
        queue.settle([answer("b")])
    with closing(sqlite3.connect(rules.path)) as connection, connection:
        connection.execute("""update waiting set allowed = '["edge", "site", "cloud"]'""")
        connection.execute("update answers set body = x'00'")

    with opened(sealed, secret="secret") as queue:
        assert (
            queue.put(LateRequest(request_id="a", payload=b"film", allowed=("edge", "site")))
            is Admission.ID_IN_USE
        )
        assert queue.claim() == []
        assert queue.take_answer("a") == ended("a", LateOutcome.DAMAGED, "IntegrityError")
        assert queue.take_answer("b") == ended("b", LateOutcome.DAMAGED, "IntegrityError")


@pytest.mark.parametrize("allowed", ["not json", "7", "[[]]"])
def test_a_row_edited_by_hand_ends_as_damaged(rules: OfflineRules, allowed: str) -> None:
    with opened(rules) as queue:
        queue.put_many([request("a"), request("b")])
    with closing(sqlite3.connect(rules.path)) as connection, connection:
        connection.execute("update waiting set allowed = ? where request_id = 'a'", (allowed,))

    with opened(rules) as queue:
        assert claimed(queue) == ["b"]
        found = queue.take_answer("a")
        assert found is not None
        assert found.outcome is LateOutcome.DAMAGED


def test_an_end_tells_whose_request_it_was(rules: OfflineRules) -> None:
    sealed = replace(rules, key=KEY)
    with opened(sealed, secret="secret") as queue:
        queue.put_many([replace(request(name), caller="ana") for name in ("a", "b")])
        queue.put(request("c"))
        assert [one.caller for one in queue.claim(3)] == ["ana", "ana", ""]
        queue.settle([answer("a"), ended("c", LateOutcome.REJECTED, "RemoteError")])
        queue.release()
    assert b"ana" not in Path(rules.path).read_bytes()

    with opened(sealed, FakeClock(200.0), secret="secret") as queue:
        found = queue.take_answers(["a", "c"])
        assert [one.caller for one in found] == ["ana", ""]
        assert queue.state().answered == 0
        assert queue.state().used_bytes > 0


def test_another_owner_in_the_file_does_not_open_a_sealed_answer(rules: OfflineRules) -> None:
    sealed = replace(rules, key=KEY)
    with opened(sealed, secret="secret") as queue:
        queue.put_many([replace(request(name), caller="ana") for name in ("a", "b", "c")])
        queue.claim(2)
        queue.settle([answer("a")])
    with closing(sqlite3.connect(rules.path)) as connection, connection:
        connection.execute("update owners set caller = x'00' where request_id in ('a', 'b')")

    with opened(sealed, secret="secret") as queue:
        assert [one.request_id for one in queue.claim(9)] == ["c"]
        assert queue.take_answer("a") == ended("a", LateOutcome.DAMAGED, "IntegrityError")
        assert queue.take_answer("b") == ended("b", LateOutcome.DAMAGED, "IntegrityError")


# A full disk


def test_a_full_disk_refuses_and_takes_again_when_there_is_space(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        queue.put(request("a"))
        with full_disk():
            private = LateRequest(request_id="p", payload=b"", allowed=("edge",))
            assert queue.put_many([request("b"), private]) == [
                Admission.NO_STORAGE,
                Admission.NO_REMOTE_TIER,
            ]
        assert queue.state().waiting == 1
        assert queue.put(request("b")) is Admission.QUEUED
        assert claimed(queue) == ["a", "b"]


def test_an_answer_on_a_full_disk_is_shown_and_kept_until_there_is_space(
    rules: OfflineRules,
) -> None:
    with opened(rules) as queue:
        queue.put_many([request("a"), request("b")])
        queue.claim()
        with full_disk():
            with pytest.raises(StorageError) as caught:
                queue.settle([answer("a")])
            assert queue.peek_answer("a") == answer("a")
            assert queue.answered_ids() == ["a"]
            with pytest.raises(StorageError):
                queue.take_answer("a")
            queue.release()
            with pytest.raises(StorageError):
                queue.claim()

        assert "the offline queue can't be written" in caught.value.what
        assert claimed(queue) == ["b"]
        assert queue.take_answer("a") == answer("a")
        assert queue.take_answer("a") is None


def test_a_taking_that_can_not_be_recorded_leaves_the_answer(rules: OfflineRules) -> None:
    with opened(rules) as queue:
        queue.put(request("a"))
        queue.settle([answer("a")])
        used_bytes = queue.state().used_bytes
        with full_disk(), pytest.raises(StorageError):
            queue.take_answer("a")

        assert queue.state().used_bytes == used_bytes
        assert queue.take_answer("a") == answer("a")


def test_closing_on_a_full_disk_says_what_is_left_and_a_restart_sends_it_again(
    rules: OfflineRules,
) -> None:
    queue = opened(rules)
    queue.put(request("a"))
    queue.claim()
    with full_disk():
        with pytest.raises(StorageError):
            queue.settle([answer("a")])
        with pytest.raises(StorageError):
            queue.close()

    with opened(rules) as queue:
        assert claimed(queue) == ["a"]


def test_an_image_of_the_files_at_any_moment_is_a_whole_queue(
    rules: OfflineRules, tmp_path: Path
) -> None:
    with opened(rules) as queue:
        for number in range(5):
            queue.put(request(f"r{number}"))
            image = tmp_path / f"image{number}"
            for end in ("", "-wal"):
                shutil.copy(rules.path + end, str(image) + end)

    for number in range(5):
        with opened(replace(rules, path=str(tmp_path / f"image{number}"))) as queue:
            assert claimed(queue) == [f"r{one}" for one in range(number + 1)]
