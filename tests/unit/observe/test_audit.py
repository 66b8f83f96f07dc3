"""The auditor: whom it asks about, what it may spend, when it calls a certificate void."""

import math
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewise.errors import InvalidData, InvalidRecord, StorageError
from edgewise.observe import AuditFile, Auditor, read_samples
from edgewise.records import (
    Answered,
    AuditRules,
    AuditState,
    Certificate,
    CertificateState,
    Loss,
    Policy,
    TierKind,
    TierPolicy,
    digest,
)

CERTIFICATE = Certificate(
    state=CertificateState.CERTIFIED,
    loss=Loss.DISAGREEMENT,
    alpha=0.05,
    delta=0.05,
    n=1000,
    threshold=0.8,
    deferral_rate=0.2,
    bound=0.01,
)
ALL = AuditRules(share=1.0, at_once=100)
NOON_S = 1_700_000_000.0


def policy(rules: AuditRules | None = ALL, **changes: Any) -> Policy:
    return Policy(
        task="text-classification",
        labels=("no", "yes"),
        tiers=(
            TierPolicy(name="edge", kind=TierKind.DEVICE, threshold=0.8),
            TierPolicy(name="cloud", kind=TierKind.CLOUD),
        ),
        audit=rules,
        certificate=replace(CERTIFICATE, **changes),
    )


def auditor(one: Policy | None = None, file: AuditFile | None = None, seed: int = 7) -> Auditor:
    made = Auditor(file, rng=random.Random(seed))
    made.begin(policy() if one is None else one)
    return made


def kept(number: int = 0, confidence: float = 0.9, **changes: Any) -> Answered:
    one = Answered(
        request_id=f"request-{number}", kept=True, confidence=confidence, edge_label="yes"
    )
    return replace(one, **changes)


def deferred(number: int = 0, far_label: str = "no") -> Answered:
    return kept(number, 0.5, kept=False, far_label=far_label)


def audit(made: Auditor, one: Answered, far_label: str | None, now_s: float = NOON_S) -> AuditState:
    case = made.consider(one, now_s)
    assert case is not None
    return made.record(case, far_label, now_s)


def test_without_rules_nothing_is_counted() -> None:
    made = auditor(policy(None))

    assert made.consider(kept(), NOON_S) is None
    assert made.state == AuditState()
    assert not made.void
    assert made.threshold is None
    assert not made.record_label("request-0", "no", NOON_S)


def test_a_kept_request_is_asked_about_and_a_deferred_one_is_not() -> None:
    made = auditor()

    case = made.consider(kept(1), NOON_S)
    other = made.consider(deferred(2), NOON_S)

    assert case is not None
    assert case.answered == kept(1)
    assert other is None
    assert made.state.considered == 2
    assert made.state.sampled == 2


def test_the_share_of_requests_asked_about_is_the_rules() -> None:
    made = auditor(policy(AuditRules(share=0.1, at_once=10_000)))

    asked = sum(made.consider(kept(n), NOON_S) is not None for n in range(5_000))

    assert 430 < asked < 570


def test_agreement_leaves_the_certificate_and_disagreement_makes_it_void() -> None:
    good, bad = auditor(), auditor()

    for n in range(200):
        audit(good, kept(n), "yes")
        audit(bad, kept(n), "yes" if n % 4 else "no", NOON_S + n)

    assert not good.void
    assert good.state.e_value < 1.0
    assert good.state.disagreement_share == 0.0
    assert bad.void
    assert bad.state.voided_at_s is not None
    assert bad.state.reason.startswith("disagreement ≤ 0.05: e-value ")
    assert bad.state.void_from == pytest.approx(20.0)


def test_deferred_requests_count_as_no_loss() -> None:
    alone, among = auditor(), auditor()

    for n in range(60):
        audit(alone, kept(n), "yes" if n % 5 else "no")
        audit(among, kept(n), "yes" if n % 5 else "no")
        for _ in range(9):
            among.consider(deferred(1000 + n), NOON_S)

    # A fifth of the kept differ: 20% of all, or 2% of all where nine of ten are deferred.
    assert alone.void
    assert among.state.e_value < 1.0


def test_of_a_loss_among_the_kept_the_deferred_say_nothing() -> None:
    one = policy(loss=Loss.KEPT_ERROR, disagreement_limit=0.05)
    alone, among = auditor(one), auditor(one)

    for n in range(30):
        audit(alone, kept(n), "yes")
        audit(among, kept(n), "yes")
        among.consider(deferred(1000 + n), NOON_S)

    assert among.state.e_value == alone.state.e_value


def test_what_is_not_answered_counts_as_no_loss() -> None:
    silent, agreed = auditor(), auditor()

    audit(silent, kept(), None)
    audit(agreed, kept(), "yes")

    assert silent.state.e_value == agreed.state.e_value
    assert silent.state.lost == 1
    assert silent.state.audited == 0


def test_a_graded_answer_loses_in_part() -> None:
    graded, plain = auditor(), auditor()
    for made, far_label, loss in ((graded, "other words", 0.25), (plain, "yes", None)):
        case = made.consider(kept(), NOON_S)
        assert case is not None
        made.record(case, far_label, NOON_S, loss)

    assert graded.state.disagreed == 1
    assert graded.state.e_value > plain.state.e_value


@pytest.mark.parametrize("loss", [-0.1, 1.1, math.nan])
def test_a_graded_loss_is_checked(loss: float) -> None:
    made = auditor()
    case = made.consider(kept(), NOON_S)
    assert case is not None

    with pytest.raises(InvalidData) as caught:
        made.record(case, "yes", NOON_S, loss)

    assert caught.value.what == f"a loss of {loss}"
    assert caught.value.where == "Auditor.record"
    assert caught.value.hint.startswith("give 0 to 1")


def test_a_case_is_recorded_once() -> None:
    made = auditor()
    case = made.consider(kept(), NOON_S)
    assert case is not None

    first = made.record(case, "no", NOON_S)
    again = made.record(case, "no", NOON_S)

    assert first.disagreed == again.disagreed == 1


def test_no_more_are_under_way_than_the_rules_say() -> None:
    made = auditor(policy(AuditRules(share=1.0, at_once=2, timeout_ms=1000.0)))

    cases = [made.consider(kept(n), NOON_S) for n in range(4)]
    counted = made.state.considered
    assert cases[0] is not None
    made.record(cases[0], "yes", NOON_S)
    after = made.consider(kept(5), NOON_S)
    much_later = made.consider(kept(6), NOON_S + 60.0)

    assert [one is not None for one in cases] == [True, True, False, False]
    assert counted == 2
    assert after is not None
    assert much_later is not None


@pytest.mark.parametrize(
    ("rules", "in_an_hour", "in_a_day"),
    [
        (AuditRules(share=1.0, at_once=100, per_hour=3), 3, 6),
        (AuditRules(share=1.0, at_once=100, per_day=4), 4, 4),
        (AuditRules(share=1.0, at_once=100, usd_per_hour=0.1), 5, 10),
        (AuditRules(share=1.0, at_once=100, usd_per_day=0.15), 7, 7),
    ],
)
def test_budgets_hold_for_their_windows(rules: AuditRules, in_an_hour: int, in_a_day: int) -> None:
    made = auditor(policy(rules))
    day_s = 86_400.0 * 20_000

    def asked(at_s: float) -> int:
        return sum(
            made.consider(kept(n, usd_per_request=0.02), at_s) is not None for n in range(20)
        )

    first = asked(day_s + 10.0)
    second = asked(day_s + 7_300.0)
    next_day = asked(day_s + 86_400.0 + 10.0)

    assert first == in_an_hour
    assert first + second == in_a_day
    assert next_day == in_an_hour


def test_an_uncertified_threshold_is_sampled_and_not_tested() -> None:
    bare = policy(state=CertificateState.UNCERTIFIED, threshold=None, bound=None)
    made = auditor(bare)

    state = AuditState()
    for n in range(50):
        state = audit(made, kept(n), "no")

    assert state.testing == ""
    assert state.e_value == 1.0
    assert state.disagreed == 50
    assert not made.void


def test_a_policy_whose_certificate_is_void_is_void_from_the_start() -> None:
    made = auditor(policy(state=CertificateState.VOID))

    assert made.void
    assert made.state.reason == "the policy says so"


def test_what_differs_more_than_when_it_was_certified_makes_net_void() -> None:
    as_before, drifted = (
        auditor(policy(loss=Loss.NET, alpha=0.02, disagreement_limit=0.2)) for _ in range(2)
    )

    for n in range(150):
        audit(as_before, kept(n), "yes" if n % 6 else "no")
        audit(drifted, kept(n), "yes" if n % 2 else "no")

    assert not as_before.void
    assert drifted.void
    assert drifted.state.void_from == pytest.approx(1 / 0.045)


def test_without_labels_or_a_limit_net_is_not_refuted() -> None:
    made = auditor(policy(loss=Loss.NET))

    for n in range(80):
        audit(made, kept(n), "no")

    assert made.state.testing == ""
    assert not made.void


def test_labels_tell_a_loss_from_a_difference() -> None:
    rules = replace(ALL, label_share=1.0)
    one = policy(rules, loss=Loss.NET, alpha=0.02)
    edge_right, cloud_right = auditor(one), auditor(one)

    for made, truth in ((edge_right, "yes"), (cloud_right, "no")):
        for n in range(40):
            audit(made, kept(n), "no" if n % 2 else "yes")
            made.record_label(f"request-{n}", truth if n % 2 else "yes", NOON_S)

    assert not edge_right.void
    assert cloud_right.void
    assert cloud_right.state.reason.endswith("by labels")
    assert edge_right.state.labelled == 40


def test_a_label_is_waited_for_only_so_long_and_only_once() -> None:
    one = policy(replace(ALL, label_share=1.0, label_wait_s=100.0), loss=Loss.REGRET)
    made = auditor(one)

    audit(made, kept(1), "no")
    audit(made, kept(2), None)
    made.consider(kept(3), NOON_S + 200.0)

    assert not made.record_label("request-1", "no", NOON_S + 201.0)
    assert not made.record_label("request-2", "no", NOON_S)
    assert not made.record_label("request-9", "no", NOON_S)


def test_samples_whose_label_never_comes_are_forgotten_in_the_end() -> None:
    rules = replace(ALL, label_share=1.0, label_wait_s=10.0)
    made = auditor(policy(rules, loss=Loss.REGRET))

    for n in range(2_100):
        audit(made, kept(n), "yes", NOON_S + n)

    assert not made.record_label("request-5", "no", NOON_S + 2_100)
    assert made.record_label("request-2099", "no", NOON_S + 2_100)


def test_qualities_say_as_much_as_a_label() -> None:
    one = policy(replace(ALL, label_share=1.0), loss=Loss.REGRET, alpha=0.02)
    made = auditor(one)

    audit(made, kept(), "no")
    waited = made.record_quality("request-0", 0.2, 0.9, NOON_S)
    for n in range(1, 10):
        audit(made, kept(n), "no")
        made.record_quality(f"request-{n}", 0.2, 0.9, NOON_S)

    assert waited
    assert made.void
    assert not made.record_quality("request-0", 0.2, 0.9, NOON_S)
    with pytest.raises(InvalidData) as caught:
        made.record_quality("request-0", 1.2, 0.0, NOON_S)
    assert caught.value.what == "qualities of 1.2 and 0.0"
    assert caught.value.where == "Auditor.record_quality"
    assert caught.value.hint == "give numbers from 0 to 1"


def test_a_void_certificate_is_kept_from_where_answers_still_agree() -> None:
    made = auditor()

    for n in range(400):
        audit(made, kept(n, 0.99), "yes")
        audit(made, kept(n, 0.85), "no")

    assert made.void
    assert made.threshold == 0.99


def test_nothing_is_kept_where_no_confidence_is_safe() -> None:
    made = auditor()

    for n in range(100):
        audit(made, kept(n, 0.99), "no")

    assert made.void
    assert made.threshold is None


def test_another_certificate_begins_another_audit() -> None:
    made = auditor()
    for n in range(60):
        audit(made, kept(n), "no")
    late = made.consider(kept(99), NOON_S)
    assert late is not None

    made.begin(policy(alpha=0.1))

    assert not made.void
    assert made.record(late, "no", NOON_S).disagreed == 0


def test_an_audit_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    whole = auditor()
    made = auditor(file=AuditFile(path))
    for n in range(30):
        audit(made, kept(n), "no" if n % 9 == 0 else "yes")
        audit(whole, kept(n), "no" if n % 9 == 0 else "yes")
        made.consider(deferred(100 + n), NOON_S)
        whole.consider(deferred(100 + n), NOON_S)

    made.close()
    made.close()
    made = auditor(file=AuditFile(path))
    again = made.state
    for n in range(30, 100):
        audit(made, kept(n), "no")
    made.close()
    void = auditor(file=AuditFile(path))

    assert again.e_value == pytest.approx(whole.state.e_value)
    assert again.considered == 60
    assert void.void
    assert void.state.reason == made.state.reason
    void.close()


def test_a_crash_adds_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    file = AuditFile(path)
    made = auditor(file=file)
    for n in range(10):
        audit(made, kept(n), "no" if n % 3 == 0 else "yes")
    unanswered = made.consider(kept(99), NOON_S)
    before = made.state.e_value
    file.close()  # as a kill leaves it: the auditor wrote no last state

    again = auditor(file=AuditFile(path))

    assert unanswered is not None
    assert 0.0 < again.state.e_value < before
    again.close()


def test_labels_that_are_waited_for_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    one = policy(replace(ALL, label_share=1.0), loss=Loss.REGRET)
    made = auditor(one, AuditFile(path))
    audit(made, kept(1), "no")
    made.close()

    again = auditor(one, AuditFile(path))

    assert again.record_label("request-1", "no", NOON_S)
    assert again.state.labelled == 1
    again.close()
    [(_, sample)] = read_samples(path)
    assert sample.truth == "no"


def test_another_share_begins_another_test(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(file=AuditFile(path))
    for n in range(5):
        audit(made, kept(n), "no")
    made.close()

    again = auditor(policy(replace(ALL, share=0.5)), AuditFile(path))

    assert again.state.e_value == pytest.approx(1.0)
    assert again.state.disagreed == 5
    again.close()


def test_samples_hold_labels_and_nothing_of_the_input(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(file=AuditFile(path))
    audit(made, kept(1), "no")
    audit(made, kept(2), None)
    made.consider(deferred(3), NOON_S)
    made.record_label("request-2", "yes", NOON_S)
    made.close()

    samples = list(read_samples(path))

    assert [key for key, _ in samples] == [digest(CERTIFICATE)] * 3
    assert [(s.request_id, s.far_label, s.kept, s.truth) for _, s in samples] == [
        ("request-1", "no", True, None),
        ("request-2", None, True, "yes"),
        ("request-3", "no", False, None),
    ]


def test_what_is_no_audits_file_is_named_as_such(tmp_path: Path) -> None:
    text, other = tmp_path / "labels.csv", tmp_path / "other.sqlite"
    text.write_text("request_id,label\n" * 100)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("create table decisions (id text)")

    for path in (text, other):
        with pytest.raises(StorageError) as caught:
            list(read_samples(path))
        assert caught.value.what.startswith("it is no audit's file: ")
        assert caught.value.hint == "give the file that the audit writes"


def test_a_sample_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(file=AuditFile(path))
    audit(made, kept(1), "no")
    made.close()

    for text in ("no JSON", "[]"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("update samples set sample = ?", (text,))
        with pytest.raises(InvalidRecord) as caught:
            list(read_samples(path))
        assert caught.value.where.startswith(str(path))


def test_the_oldest_samples_make_way(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(policy(replace(ALL, samples_kept=3)), AuditFile(path))
    for n in range(6):
        audit(made, kept(n), "yes")
    made.close()

    assert [one.request_id for _, one in read_samples(path)] == [
        "request-3",
        "request-4",
        "request-5",
    ]


def test_samples_say_whether_the_certificate_was_void(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(file=AuditFile(path))
    for n in range(100):
        audit(made, kept(n), "no", NOON_S + n)
    made.close()

    flags = [one.void for _, one in read_samples(path)]

    assert flags == sorted(flags)
    assert flags[0] is False
    assert flags[-1] is True


def test_where_the_disk_is_behind_the_audit_pauses(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "audit.sqlite")
    made = auditor(policy(AuditRules(share=1.0, at_once=10_000)), file)
    file.close()  # nothing is confirmed any more

    asked = sum(made.consider(kept(n), NOON_S) is not None for n in range(1_000))

    assert asked == 200


@pytest.mark.parametrize("body", ["{", '{"certificate": 1}'])
def test_a_state_that_was_changed_is_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "audit.sqlite"
    auditor(file=AuditFile(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update state set body = ?", (body,))
        connection.commit()
    file = AuditFile(path)

    with pytest.raises(InvalidRecord) as caught:
        auditor(file=file)
    file.close()

    assert "audit" in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.hint == "begin another file"


def test_what_can_not_be_written_is_said_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    file = AuditFile(path)
    made = auditor(file=file)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table samples")

    audit(made, kept(), "yes")

    with pytest.raises(StorageError) as caught:
        file.flush()
    with pytest.raises(StorageError):
        made.close()
    assert caught.value.what.startswith("the audit's file can't be used: no such table")
    assert caught.value.where == str(path)
