"""The audit of live answers: some are asked of the farthest tier too, and a test watches the loss.

Each request that the engine hands over counts, kept or deferred, while the audit has the means to
ask: that is settled before it is looked at whether it was kept. Of those that were kept a share s,
drawn by chance, is asked; the test's estimate weighs them by 1/s (see `eprocess.py`). Deferred
ones have both answers, and the same share of them is noted, so that the samples are a plain
random share of all requests: `edgewise recertify` needs no weights.

Where the engine has a judge, it says how good both answers of a sample are, and what is tested is
the certified loss. Deferred samples are judged too, for the next certificate.

What was lost, because the farthest tier did not answer or the judge failed, counts as no loss:
nobody is accused by silence. After a kill, what may have been counted since the last commit is
charged as requests without loss, so that a crash never adds evidence.
"""

import random  # noqa: TID251 - only the type of the rng that is handed in
import threading
from collections import deque
from dataclasses import replace
from typing import Any

from edgewise.errors import InvalidData, InvalidRecord, StorageError
from edgewise.observe.audit_file import AuditFile
from edgewise.observe.audited import check_label, loss_by_quality, stopgap_threshold
from edgewise.observe.line import Line
from edgewise.observe.under_audit import (
    RECENT,
    UnderAudit,
    Wanted,
    Window,
    alike,
    charge,
    fresh,
    refuted_from,
    time_allowed_s,
    told,
)
from edgewise.records import (
    Answered,
    AuditCase,
    AuditSample,
    AuditState,
    Policy,
    decode,
    encode,
)

_HOUR_S, _DAY_S = 3600.0, 86_400.0
_LABELS_WAITED_FOR = 2_000
_LEAST_AHEAD = 200
_AHEAD = 20.0


class Auditor:
    """Audits the answers of one engine. Made and closed by the composer, driven by the engine.

    Moments are seconds since 1970, UTC. Any thread may tell a label; the rest is the engine's.

    Parameters
    ----------
    file
        Where samples and state are kept; `None` forgets them at the end.
    rng
        For the choice of those audited.
    """

    def __init__(self, file: AuditFile | None = None, *, rng: random.Random) -> None:
        self._file = file
        self._rng = rng
        self._lock = threading.Lock()
        self._audit: UnderAudit | None = None
        self._last: UnderAudit | None = None
        self._refuted: dict[str, Any] = {}
        """States of certificates that were void when others took their place, by digest."""
        self._cases: dict[int, AuditCase] = {}
        self._number = 0
        self._windows = (Window(_HOUR_S), Window(_DAY_S))
        self._unsaved = 0
        """Requests counted since the last commit."""
        self._ahead = _LEAST_AHEAD
        self._asked_to_save = 0

    @property
    def state(self) -> AuditState:
        """Give what is known at this moment."""
        with self._lock:
            audit = self._audit
            if audit is None:
                return AuditState()
            for line in audit.lines.values():
                line.flush()
            return told(audit)

    @property
    def void(self) -> bool:
        """Say whether the certificate has been refuted."""
        return self._audit is not None and self._audit.state.void

    @property
    def threshold(self) -> float | None:
        """Give what `defer_more` keeps from while the certificate is void; `None` keeps nothing."""
        return None if self._audit is None else self._audit.state.threshold

    def begin(self, policy: Policy, *, judged: bool = False) -> None:
        """Audit by a policy from now on; goes on where the last audit of its certificate ended.

        A certificate that was refuted stays void, whatever was audited in between.

        Parameters
        ----------
        judged
            Whether `record` is told qualities: then they are what counts, not whether answers
            differ.

        Raises
        ------
        StorageError, InvalidRecord
            When the file can't be read, or holds no state.
        """
        with self._lock:
            self._cases.clear()
            rules, certificate = policy.audit, policy.certificate
            if rules is None:
                self._audit = None
                return
            audit = fresh(rules, certificate, judged=judged, labels=policy.labels)
            body = self._last_state()
            if body is not None:
                self._restore(audit, body)
            if self._file is not None:
                self._file.trim(rules.samples_kept)
            self._ahead = max(_LEAST_AHEAD, round(_AHEAD / rules.share))
            was, self._audit, self._last = (self._audit, self._last), audit, audit
            self._save()
            file = self._file
        try:
            if file is not None:
                file.flush()
        except StorageError:
            self._audit, self._last = was
            raise

    def consider(self, one: Answered, now_s: float) -> AuditCase | None:
        """Count an answered request; gives the case where the farthest tier is to be asked."""
        with self._lock:
            audit = self._audit
            if audit is None or not self._is_open(audit, one, now_s):
                return None
            self._unsaved += 1
            if self._unsaved - self._asked_to_save >= self._ahead // 2:
                self._save()
            audit.considered += 1
            sampled = self._rng.random() < audit.rules.share
            wanted = sampled and self._wants_label(audit)
            if one.kept or not audit.tested.among_kept:
                self._count(audit, one, now_s, sampled=sampled, wanted=wanted)
            if not sampled:
                return None
            return self._sampled(audit, one, now_s, wanted=wanted)

    def record(
        self,
        case: AuditCase,
        far_label: str | None,
        now_s: float,
        qualities: tuple[float, float] | None = None,
        fault: str = "",
    ) -> AuditState:
        """Take what the farthest tier answered about a case, and give the state then.

        Parameters
        ----------
        far_label
            `None` where it gave no answer.
        qualities
            How good a judge found the nearest and the farthest tier's answer, 0 to 1 each; `None`
            where none said so.
        fault
            How the judge failed, where it did.

        Raises
        ------
        InvalidData
            When a quality is outside of that.
        """
        if qualities is not None:
            _check(*qualities, where="Auditor.record")
        with self._lock:
            audit = self._audit
            if audit is None or self._cases.pop(case.number, None) is None:
                return AuditState() if audit is None else told(audit)
            lost, loss = far_label is None, _loss(audit, case, far_label, qualities)
            state = audit.state
            kept, was_asked = case.answered.kept, case.answered.far_label is None
            audit.state = replace(
                state,
                audited=state.audited + (kept and not lost),
                lost=state.lost + lost,
                disagreed=state.disagreed + (kept and loss is not None and loss > 0.0),
                unjudged=state.unjudged + bool(fault),
                judge_fault=fault or state.judge_fault,
                spent_usd=state.spent_usd
                + (case.answered.usd_per_request if was_asked and not lost else 0.0),
            )
            if audit.lines.get("answers") is not None:
                audit.lines["answers"].settle(case.number, loss or 0.0)
            wanted = audit.wanted.get(case.answered.request_id)
            if wanted is not None:
                wanted.far_label = far_label
                if lost:
                    self._settle_label(audit, case.answered.request_id, 0.0)
            self._note(audit, case, loss)
            self._judge(audit, now_s)
            self._save(_sample(audit, case, far_label, qualities))
            return told(audit)

    def record_label(self, request_id: str, label: str, now_s: float) -> bool:
        """Take the true label of a sample; gives whether the test waited for it.

        Labels of other requests are kept for `edgewise recertify`, where they are samples.

        Raises
        ------
        InvalidData
            When it is no text, or none of the policy's labels.
        """
        with self._lock:
            audit = self._audit
            check_label(request_id, label, () if audit is None else audit.labels)
            if audit is None:
                return False
            wanted = audit.wanted.get(request_id)
            waited = False
            if wanted is not None and wanted.far_label is not None:
                edge, far = float(wanted.edge_label == label), float(wanted.far_label == label)
                lost = loss_by_quality(audit.loss, edge, far)
                waited = self._settle_label(audit, request_id, lost)
                self._judge(audit, now_s)
            self._save(truths={request_id: label})
            return waited

    def record_quality(self, request_id: str, edge: float, far: float, now_s: float) -> bool:
        """Take how good both answers of a sample were, 0 to 1 each; as `record_label`.

        Raises
        ------
        InvalidData
            When a quality is outside of that.
        """
        _check(edge, far, where="Auditor.record_quality")
        with self._lock:
            audit = self._audit
            if audit is None or request_id not in audit.wanted:
                return False
            waited = self._settle_label(audit, request_id, loss_by_quality(audit.loss, edge, far))
            self._judge(audit, now_s)
            self._save()
            return waited

    def close(self) -> None:
        """Write the last state, and let the file go; a second call does nothing.

        Raises
        ------
        StorageError
            When it can't be written.
        """
        with self._lock:
            file, self._file = self._file, None
            if file is None:
                return
            audit = self._audit
            if audit is not None:
                for case in self._cases.values():
                    if "answers" in audit.lines:
                        audit.lines["answers"].settle(case.number, 0.0)
                for line in audit.lines.values():
                    line.flush()
                file.save(self._body(audit, clean=True))
        file.close()

    def _is_open(self, audit: UnderAudit, one: Answered, now_s: float) -> bool:
        """Say whether a request counts: by what was known before it, not by its answer."""
        rules = audit.rules
        for line in audit.lines.values():
            if line:
                line.expire(now_s)
        if len(self._cases) >= rules.at_once:
            oldest_s = now_s - time_allowed_s(audit)
            for number in [n for n, case in self._cases.items() if case.at_s <= oldest_s]:
                del self._cases[number]  # an engine that never came back
            if len(self._cases) >= rules.at_once:
                return False
        if self._file is not None and self._unsaved >= self._ahead:
            return False
        usd, (hour, day) = one.usd_per_request, self._windows
        return hour.allows(now_s, usd, rules.per_hour, rules.usd_per_hour) and day.allows(
            now_s, usd, rules.per_day, rules.usd_per_day
        )

    def _wants_label(self, audit: UnderAudit) -> bool:
        share = audit.rules.label_share
        return share > 0.0 and self._rng.random() < share

    def _count(
        self, audit: UnderAudit, one: Answered, now_s: float, *, sampled: bool, wanted: bool
    ) -> None:
        if audit.state.void:
            return
        number = self._number + 1  # what the case will have
        until_s = now_s + time_allowed_s(audit)
        for name, line in audit.lines.items():
            if name == "answers" and sampled and one.kept:
                line.wait(number, until_s)
            elif name == "labels" and wanted and one.kept and len(line) < _LABELS_WAITED_FOR:
                line.wait(number, now_s + audit.rules.label_wait_s)
                if len(audit.wanted) >= _LABELS_WAITED_FOR:
                    still = audit.wanted.items()
                    audit.wanted = {k: one for k, one in still if line.waits_for(one.number)}
                audit.wanted[one.request_id] = Wanted(number, one.edge_label)
            else:
                line.skip()

    def _sampled(
        self, audit: UnderAudit, one: Answered, now_s: float, *, wanted: bool
    ) -> AuditCase | None:
        self._number += 1
        case = AuditCase(
            number=self._number,
            share=audit.rules.share,
            answered=one,
            at_s=max(now_s, 0.0),
            label_wanted=wanted,
        )
        audit.state = replace(audit.state, sampled=audit.state.sampled + 1)
        if one.far_label is None:
            for window in self._windows:
                window.spend(one.usd_per_request)
        elif not audit.tested.judged:
            self._note(audit, case, _loss(audit, case, one.far_label, None))
            self._save(_sample(audit, case, one.far_label, None))
            return None
        self._cases[case.number] = case
        return case

    def _settle_label(self, audit: UnderAudit, request_id: str, loss: float) -> bool:
        wanted, line = audit.wanted.pop(request_id, None), audit.lines.get("labels")
        if wanted is None or line is None or not line.settle(wanted.number, loss):
            return False
        audit.state = replace(audit.state, labelled=audit.state.labelled + 1)
        return True

    def _note(self, audit: UnderAudit, case: AuditCase, loss: float | None) -> None:
        if loss is None:
            return
        audit.recent.append((case.answered.confidence, loss))
        if audit.state.void:
            self._raise(audit)

    def _judge(self, audit: UnderAudit, now_s: float) -> None:
        for line in audit.lines.values():
            line.flush()
        if audit.state.void:
            return
        for name, line in audit.lines.items():
            e_value = line.test.e_value
            if e_value >= audit.tested.refuted_from:
                reason = f"{audit.tested.words}: e-value {e_value:.1f} by {name}"
                audit.state = replace(audit.state, void=True, voided_at_s=now_s, reason=reason)
                audit.recent = deque(list(audit.recent)[-RECENT // 2 :], maxlen=RECENT)
                self._raise(audit)
                return

    def _raise(self, audit: UnderAudit) -> None:
        most = audit.tested.answers_alpha or audit.tested.labels_alpha
        if most is not None and not audit.tested.among_kept:
            threshold = stopgap_threshold(tuple(audit.recent), most, audit.delta)
            audit.state = replace(audit.state, threshold=threshold)

    def _save(
        self, sample: AuditSample | None = None, truths: dict[str, str] | None = None
    ) -> None:
        file, audit = self._file, self._audit
        if file is None or audit is None:
            return
        counted = self._unsaved - self._asked_to_save
        self._asked_to_save += counted

        def done() -> None:
            with self._lock:
                self._unsaved -= counted
                self._asked_to_save -= counted

        samples = () if sample is None else ((audit.key, sample),)
        file.save(self._body(audit, clean=False), samples, truths, done)

    def _body(self, audit: UnderAudit, *, clean: bool) -> dict[str, Any]:
        return {
            "certificate": audit.key,
            "clean": clean,
            "ahead": self._ahead,
            "number": self._number,
            "windows": [[one.number, one.calls, one.usd] for one in self._windows],
            "state": encode(told(audit)),
            "lines": {name: line.saved() for name, line in audit.lines.items()},
            "wanted": {
                name: [one.number, one.edge_label, one.far_label]
                for name, one in audit.wanted.items()
            },
            "recent": [list(pair) for pair in audit.recent],
            "refuted": self._refuted,
        }

    def _last_state(self) -> dict[str, Any] | None:
        """Give what the last audit came to: from memory, where there was one."""
        if self._last is not None:
            return self._body(self._last, clean=True)
        return None if self._file is None else self._file.load()

    def _restore(self, audit: UnderAudit, body: dict[str, Any]) -> None:
        where = "audit" if self._file is None else str(self._file.path)
        try:
            self._refuted = {**body.get("refuted", {})}
            if body["state"]["void"]:
                self._refuted[str(body["certificate"])] = body["state"]
            for window, (number, calls, usd) in zip(self._windows, body["windows"], strict=True):
                window.number, window.calls, window.usd = int(number), int(calls), float(usd)
            self._number = max(self._number, int(body["number"]))
            if body["certificate"] != audit.key and audit.key not in self._refuted:
                return
            was = {**encode(audit.state), **self._refuted.get(audit.key, body["state"])}
            audit.state = replace(
                decode(AuditState, was),
                testing=audit.tested.words,
                void_from=refuted_from(audit.tested),
            )
            audit.considered = audit.state.considered
            if body["certificate"] != audit.key:
                return
            ahead = 0 if body["clean"] else int(body["ahead"])
            for name, line in audit.lines.items():
                if name in body["lines"]:
                    before = Line.restored(body["lines"][name])
                    if alike(before.test, line.test):
                        charge(before, ahead, forget=name == "answers")
                        audit.lines[name] = before
            for name, (number, edge_label, far_label) in body["wanted"].items():
                audit.wanted[name] = Wanted(int(number), edge_label, far_label)
            audit.recent.extend((float(one), float(loss)) for one, loss in body["recent"])
        except (KeyError, TypeError, ValueError) as strange:
            what = f"no state of an audit: {type(strange).__name__}"
            raise InvalidRecord(what, where=where, hint="begin another file") from strange


def _check(edge: float, far: float, *, where: str) -> None:
    if not (0.0 <= edge <= 1.0 and 0.0 <= far <= 1.0):
        what, hint = f"qualities of {edge} and {far}", "give numbers from 0 to 1"
        raise InvalidData(what, where=where, hint=hint)


def _loss(
    audit: UnderAudit,
    case: AuditCase,
    far_label: str | None,
    qualities: tuple[float, float] | None,
) -> float | None:
    """Give what keeping the nearest tier's answer loses; `None` where nobody knows."""
    if far_label is None:
        return None
    if audit.tested.judged:
        return None if qualities is None else loss_by_quality(audit.loss, *qualities)
    return float(far_label != case.answered.edge_label)


def _sample(
    audit: UnderAudit,
    case: AuditCase,
    far_label: str | None,
    qualities: tuple[float, float] | None,
) -> AuditSample:
    one = case.answered
    edge_quality, far_quality = (None, None) if qualities is None else qualities
    return AuditSample(
        request_id=one.request_id,
        at_s=case.at_s,
        confidence=one.confidence,
        edge_label=one.edge_label,
        far_label=far_label,
        kept=one.kept,
        share=case.share,
        group=one.group,
        label_wanted=case.label_wanted,
        void=audit.state.voided_at_s is not None and case.at_s >= audit.state.voided_at_s,
        edge_quality=edge_quality,
        far_quality=far_quality,
    )
