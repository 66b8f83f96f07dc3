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
from edgewise.observe import AuditFile, Auditor, read_refuted, read_samples
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


def judged(**changes: Any) -> Auditor:
    made = Auditor(rng=random.Random(7))
    made.begin(policy(**changes), judged=True)
    return made


def judge(made: Auditor, one: Answered, *qualities: float, fault: str = "") -> AuditState:
    case = made.consider(one, NOON_S)
    assert case is not None
    return made.record(
        case, "yes", NOON_S, (qualities[0], qualities[1]) if qualities else None, fault
    )


@pytest.mark.parametrize("loss", [Loss.NET, Loss.REGRET])
def test_what_the_judge_finds_is_held_against_the_certified_loss(loss: Loss) -> None:
    as_good, worse = judged(loss=loss), judged(loss=loss)

    for n in range(150):
        judge(as_good, kept(n), 0.8, 0.82)
        judge(worse, kept(n), 0.5, 0.8)

    assert not as_good.void
    assert as_good.state.e_value < 1.0
    assert worse.void
    assert worse.state.reason.startswith(f"{loss.value} ≤ 0.05 by the judge: e-value ")
    assert worse.state.void_from == pytest.approx(20.0)
    assert worse.state.disagreement_share == 1.0


def test_an_edge_that_is_better_than_the_cloud_makes_up_for_losses_of_net_alone() -> None:
    net, regret = judged(loss=Loss.NET), judged(loss=Loss.REGRET)

    for n in range(200):
        for made in (net, regret):
            judge(made, kept(n), *((0.2, 0.8) if n % 4 == 0 else (0.8, 0.6)))

    assert not net.void
    assert regret.void


def test_of_an_error_among_the_kept_the_judge_reads_the_edge_alone() -> None:
    made = judged(loss=Loss.KEPT_ERROR)

    for n in range(60):
        judge(made, kept(n), 0.5, 0.0)

    assert made.void


def test_what_the_judge_does_not_say_counts_as_no_loss_and_is_told() -> None:
    silent, as_good = judged(), judged()

    judge(silent, kept(), fault="ValueError")
    state = judge(as_good, kept(), 1.0, 1.0)
    again = judge(silent, kept(2), 1.0, 1.0)

    assert (again.unjudged, again.judge_fault) == (1, "ValueError")
    assert (state.unjudged, state.judge_fault) == (0, "")
    assert silent.state.e_value < as_good.state.e_value <= 1.0
    judge(as_good, kept(2), 1.0, 1.0)
    assert silent.state.e_value == as_good.state.e_value


def test_a_deferred_sample_is_judged_without_being_asked_or_paid_again(tmp_path: Path) -> None:
    made = Auditor(AuditFile(tmp_path / "audit.sqlite"), rng=random.Random(7))
    rules = replace(ALL, per_hour=1, label_share=1.0)
    made.begin(policy(rules, loss=Loss.NET), judged=True)

    for n in range(3):
        case = made.consider(replace(deferred(n, "yes"), usd_per_request=0.02), NOON_S)
        assert case is not None
        made.record(case, "yes", NOON_S, (0.25, 0.75))
    state = made.state
    made.close()

    samples = [one for _, one in read_samples(tmp_path / "audit.sqlite")]
    assert [(one.edge_quality, one.far_quality) for one in samples] == [(0.25, 0.75)] * 3
    assert all(one.label_wanted and not one.kept for one in samples)
    assert (state.sampled, state.audited, state.disagreed, state.spent_usd) == (3, 0, 0, 0.0)
    assert state.e_value < 1.0


def test_qualities_decide_from_where_on_a_void_certificate_is_kept() -> None:
    made = judged(loss=Loss.NET)

    for n in range(600):
        judge(made, kept(n, 0.99), 0.9, 0.9)
        judge(made, kept(n, 0.85), 0.1, 0.9)

    assert made.void
    assert made.threshold == 0.99


def test_the_judge_has_its_time_beside_that_of_the_call() -> None:
    rules = AuditRules(share=1.0, at_once=1, timeout_ms=10_000.0)
    made = Auditor(rng=random.Random(7))
    made.begin(policy(rules), judged=True)
    made.consider(kept(1), NOON_S)

    assert made.consider(kept(2), NOON_S + 24.0) is None
    assert made.consider(kept(3), NOON_S + 25.0) is not None


def test_an_uncertified_threshold_is_judged_for_the_next_one_and_not_tested() -> None:
    made = judged(state=CertificateState.UNCERTIFIED, threshold=None, bound=None)

    state = judge(made, kept(), 0.0, 1.0)

    assert (state.testing, state.disagreed, state.e_value) == ("", 1, 1.0)


@pytest.mark.parametrize("quality", [-0.1, 1.1, math.nan])
def test_qualities_of_a_case_are_checked(quality: float) -> None:
    made = judged()
    case = made.consider(kept(), NOON_S)
    assert case is not None

    with pytest.raises(InvalidData) as caught:
        made.record(case, "yes", NOON_S, (0.5, quality))

    assert caught.value.what == f"qualities of 0.5 and {quality}"
    assert caught.value.where == "Auditor.record"
    assert caught.value.hint == "give numbers from 0 to 1"


def test_a_judged_audit_goes_on_after_a_restart(tmp_path: Path) -> None:
    one, path = policy(loss=Loss.NET), tmp_path / "audit.sqlite"
    whole = judged(loss=Loss.NET)
    made = Auditor(AuditFile(path), rng=random.Random(7))
    made.begin(one, judged=True)
    for n in range(30):
        for auditor_ in (made, whole):
            judge(auditor_, kept(n), *((0.4, 0.9) if n % 9 == 0 else (0.7, 0.7)))
    judge(made, kept(99), fault="TimeoutError")
    judge(whole, kept(99), fault="TimeoutError")

    made.close()
    made = Auditor(AuditFile(path), rng=random.Random(7))
    made.begin(one, judged=True)
    state = made.state
    made.close()
    made = Auditor(AuditFile(path), rng=random.Random(7))
    made.begin(one)
    unjudged = made.state
    made.close()

    assert state.e_value == pytest.approx(whole.state.e_value)
    assert (state.unjudged, state.judge_fault) == (1, "TimeoutError")
    assert unjudged.e_value == 1.0


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


@pytest.mark.parametrize(
    "rules",
    [
        AuditRules(share=1.0, at_once=100, per_hour=3),
        AuditRules(share=1.0, at_once=100, per_day=3),
    ],
)
def test_a_clock_that_goes_back_gives_no_budget_twice(rules: AuditRules) -> None:
    made = auditor(policy(rules))
    midnight_s = 86_400.0 * 20_000

    def asked(at_s: float) -> int:
        return sum(made.consider(kept(n), at_s) is not None for n in range(20))

    assert asked(midnight_s - 1.0) == 3
    assert asked(midnight_s + 1.0) == 3
    assert asked(midnight_s - 0.5) == 0
    assert asked(midnight_s + 2.0) == 0


def test_a_true_label_that_the_policy_has_not_accuses_nobody() -> None:
    made = auditor(policy(replace(ALL, label_share=1.0), loss=Loss.KEPT_ERROR))
    audit(made, kept(1), "yes")

    with pytest.raises(InvalidData) as caught:
        made.record_label("request-1", "Yes", NOON_S)

    assert caught.value.what == "label `Yes` is none of the policy's"
    assert caught.value.where == "Auditor.record_label"
    assert caught.value.hint == "one of ['no', 'yes']"
    assert made.record_label("request-1", "yes", NOON_S)


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


@pytest.mark.parametrize(
    ("name", "label", "what"),
    [
        ("request-1", None, "`label` is no text: None"),
        ("request-1", ["no"], "`label` is no text: ['no']"),
        ("request-1", "\ud800", "`label` is no text: '\\ud800'"),
        (None, "yes", "`request_id` is no text: None"),
    ],
)
def test_what_is_no_label_is_refused_and_costs_no_sample(
    tmp_path: Path, name: Any, label: Any, what: str
) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(file=AuditFile(path))

    with pytest.raises(InvalidData) as caught:
        made.record_label(name, label, NOON_S)
    audit(made, kept(1), "no")
    made.close()

    assert caught.value.what == what
    assert caught.value.where == "Auditor.record_label"
    assert caught.value.hint == "give the result's `request_id`, and the label's name"
    assert len(list(read_samples(path))) == 1


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


@pytest.mark.parametrize("kept_in_a_file", [False, True])
def test_another_policy_of_one_certificate_takes_the_evidence_over(
    tmp_path: Path, *, kept_in_a_file: bool
) -> None:
    whole = auditor()
    made = auditor(file=AuditFile(tmp_path / "audit.sqlite") if kept_in_a_file else None)
    for n in range(8):
        audit(made, kept(n), "no" if n % 3 == 0 else "yes")
        audit(whole, kept(n), "no" if n % 3 == 0 else "yes")

        made.begin(replace(policy(), deadline_ms=100.0 + n))

    assert made.state == whole.state
    for n in range(60):
        audit(made, kept(100 + n), "no")
    made.begin(replace(policy(), deadline_ms=50.0))
    assert made.void
    assert made.state.reason
    made.close()


@pytest.mark.parametrize("kept_in_a_file", [False, True])
def test_a_refuted_certificate_stays_void_when_its_policy_comes_back(
    tmp_path: Path, *, kept_in_a_file: bool
) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(file=AuditFile(path) if kept_in_a_file else None)
    for n in range(60):
        audit(made, kept(n), "no")
    refuted = made.state

    made.begin(policy(alpha=0.1))
    made.begin(policy(None))
    assert not made.void
    if kept_in_a_file:
        made.close()
        made = auditor(policy(alpha=0.2), AuditFile(path))
    made.begin(policy())

    assert made.void
    assert made.state.reason == refuted.reason
    assert made.state.voided_at_s == NOON_S
    made.close()


def test_an_audit_that_can_not_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    made = auditor(file=AuditFile(path))
    audit(made, kept(1), "no")
    before = made.state
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table state")

    with pytest.raises(StorageError, match="no such table"):
        made.begin(policy(alpha=0.1))

    assert made.state == before
    with pytest.raises(StorageError):
        made.close()


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
    with pytest.raises(InvalidRecord) as read:
        read_refuted(path)

    assert (read.value.where, read.value.hint) == (str(path), "begin another file")

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
