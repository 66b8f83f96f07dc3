"""One request on its way: what it is, what was tried for it, and what came of that."""

import asyncio
from collections.abc import Mapping

from edgewise.errors import EdgewiseError
from edgewise.records import (
    Attempt,
    Input,
    Outcome,
    Prediction,
    Reason,
    RequestFacts,
    Step,
    TierKind,
    TierPolicy,
)
from edgewise.route.privacy import Redacted, redact
from edgewise.route.restoring import restored
from edgewise.route.serving import Serving

_ANSWERED = (Outcome.ANSWERED,)


class Run:
    """One request on its way."""

    __slots__ = (
        "_read",
        "_reasons",
        "answers",
        "asked_s",
        "attempts",
        "broke",
        "confidence",
        "cut_off",
        "ended",
        "error",
        "facts",
        "failure",
        "hidden",
        "late",
        "location",
        "one",
        "racing",
        "serving",
        "start_s",
        "steps",
    )

    def __init__(self, serving: Serving, facts: RequestFacts, one: Input, start_s: float) -> None:
        self.serving = serving
        self.facts = facts
        self.one = one
        self.broke: set[str] = set()
        """Tiers that no money could be reserved for."""
        self.failure: EdgewiseError | None = None
        """How the last attempt that failed did."""
        self.hidden: Redacted | None = None
        """The input as tiers beyond the device see it, where that is another."""
        self.start_s = start_s
        self.attempts: list[Attempt] = []
        self.ended: list[Attempt] = []
        """Attempts that the decision has not heard of yet."""
        self.steps: list[Step] = []
        """Only ever added to."""
        self._read = 0
        self._reasons: tuple[Reason, ...] = ()
        self.answers: dict[str, Prediction] = {}
        self.cut_off: set[str] = set()
        """Tiers whose answer was not read to its end."""
        self.racing: dict[asyncio.Task[None], str] = {}
        self.asked_s: dict[str, float] = {}
        """When the last call of each tier began."""
        self.location: str | None = None
        self.confidence: float | None = None
        self.error = ""
        self.late = False
        """Whether it was stored before."""

    def reasons(self) -> tuple[Reason, ...]:
        """Give the reasons of all steps, each once."""
        if self._read == len(self.steps):
            return self._reasons
        found = list(self._reasons)  # few: a set of them would call each one's Python-made hash
        for step in self.steps[self._read :]:
            for reason in step.reasons:
                if reason not in found:
                    found.append(reason)
        self._read, self._reasons = len(self.steps), tuple(found)
        return self._reasons

    def input_for(self, tier: TierPolicy) -> Input:
        """Give the input as a tier may see it: on the device as it is, elsewhere redacted.

        Where detectors keep it on the device, an endpoint there has to know: it is marked private.
        """
        if self.facts.detected and tier.endpoint is not None:
            return {**self.one, self.serving.policy.privacy.flag: True}
        if not self.facts.redacted or tier.kind is TierKind.DEVICE:
            return self.one
        if self.hidden is None:
            self.hidden = redact(self.one, self.facts.redacted)
        sent: Input = self.hidden.input
        return sent

    def way_back(self, tier: TierPolicy) -> Mapping[str, str]:
        """Give the value of each placeholder that a tier was sent."""
        if self.hidden is None or tier.kind is TierKind.DEVICE:
            return {}
        return self.hidden.mapping

    def restored(self, answer: Prediction, tier: TierPolicy) -> Prediction:
        """Give an answer with the data back in place of its placeholders."""
        return restored(answer, self.way_back(tier))

    def working_ms(self, now_s: float) -> dict[str, float]:
        """Give for how long each tier that races has been working; 0 for one in its pause."""
        asked_s = self.asked_s
        return {name: (now_s - asked_s.get(name, now_s)) * 1000 for name in self.racing.values()}

    def take_ended(self) -> None:
        """Tell the decision what ended: answers last, the farthest tier's the last of them."""
        if len(self.ended) > 1:
            order = list(self.serving.by_name)
            self.ended.sort(key=lambda one: (one.outcome in _ANSWERED, order.index(one.tier)))
        self.attempts.extend(self.ended)
        self.ended.clear()
