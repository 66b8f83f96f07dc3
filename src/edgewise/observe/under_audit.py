"""What is known of one certificate under audit: its rules, its tests, and who is waited for."""

import math
from collections import deque
from dataclasses import dataclass, field, replace

from edgewise.observe.audited import Tested, doubted_of
from edgewise.observe.eprocess import EProcess
from edgewise.observe.line import Line
from edgewise.records import AuditRules, AuditState, Certificate, CertificateState, Loss, digest

RECENT = 400
"""Samples that the stopgap threshold is read off."""
_SPARE_S = 5.0
_WINDOWS_KEPT = 48


@dataclass(slots=True)
class Window:
    """What was spent in the current hour or day; a clock that goes back finds what was before."""

    length_s: float
    number: int = -1
    calls: int = 0
    usd: float = 0.0
    _others: dict[int, tuple[int, float]] = field(default_factory=dict)

    def allows(self, now_s: float, usd: float, calls: int | None, most_usd: float | None) -> bool:
        """Say whether a call more may be made, and one that costs so much."""
        number = int(now_s // self.length_s)
        if number != self.number:
            self._others[self.number] = self.calls, self.usd
            self.number, (self.calls, self.usd) = number, self._others.pop(number, (0, 0.0))
            for old in list(self._others)[:-_WINDOWS_KEPT]:
                del self._others[old]
        if calls is not None and self.calls >= calls:
            return False
        return most_usd is None or self.usd + usd <= most_usd + 1e-12

    def spend(self, usd: float) -> None:
        """Count a call."""
        self.calls += 1
        self.usd += usd


@dataclass(slots=True)
class Wanted:
    """A sample whose true label is waited for."""

    number: int
    edge_label: str
    far_label: str | None = None


@dataclass(slots=True)
class UnderAudit:
    """All that is known of one certificate."""

    key: str
    rules: AuditRules
    tested: Tested
    loss: Loss
    delta: float
    state: AuditState
    labels: tuple[str, ...] = ()
    """Those of the policy; without any, a true label may be any text."""
    considered: int = 0
    lines: dict[str, Line] = field(default_factory=dict)
    wanted: dict[str, Wanted] = field(default_factory=dict)
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT))


def fresh(
    rules: AuditRules,
    certificate: Certificate | None,
    *,
    judged: bool,
    labels: tuple[str, ...] = (),
) -> UnderAudit:
    """Give the audit of a certificate of which nothing is known yet."""
    tested = doubted_of(certificate, rules, judged=judged)
    lines = {}
    if tested.answers_alpha is not None:
        signed = judged and tested.signed
        test = EProcess(alpha=tested.answers_alpha, share=rules.share, signed=signed)
        lines["answers"] = Line(test)
    if tested.labels_alpha is not None:
        share = rules.share * rules.label_share
        test = EProcess(alpha=tested.labels_alpha, share=share, signed=tested.signed)
        lines["labels"] = Line(test)
    key = "" if certificate is None else digest(certificate)
    void = certificate is not None and certificate.state is CertificateState.VOID
    return UnderAudit(
        key=key,
        rules=rules,
        tested=tested,
        loss=Loss.DISAGREEMENT if certificate is None else certificate.loss,
        delta=0.05 if certificate is None else certificate.delta,
        state=AuditState(
            certificate=key,
            testing=tested.words,
            void=void,
            void_from=refuted_from(tested),
            reason="the policy says so" if void else "",
        ),
        labels=labels,
        lines=lines,
    )


def refuted_from(tested: Tested) -> float | None:
    """Give the evidence that makes it void; `None` where nothing is tested."""
    return tested.refuted_from if math.isfinite(tested.refuted_from) else None


def told(audit: UnderAudit) -> AuditState:
    """Give the state at this moment."""
    values = {name: line.test.e_value for name, line in audit.lines.items()}
    return replace(
        audit.state,
        considered=audit.considered,
        e_value=values.get("answers", 1.0),
        label_e_value=values.get("labels", 1.0),
    )


def time_allowed_s(audit: UnderAudit) -> float:
    """Give how long a background call and its judge may take, with some time to spare."""
    return audit.rules.timeout_ms / 1000 * (1 + audit.tested.judged) + _SPARE_S


def alike(one: EProcess, other: EProcess) -> bool:
    """Say whether two tests ask the same."""
    return (one.alpha, one.share, one.signed) == (other.alpha, other.share, other.signed)


def charge(line: Line, ahead: int, *, forget: bool) -> None:
    """Count what may have been counted after the commit, and what will not be answered any more."""
    if forget:
        line.expire(math.inf)
    for _ in range(ahead):
        line.skip()
    line.flush()
