"""Shows requests to who watches whether inputs are still those that the certificate was made of."""

from typing import Protocol

from edgewise.records import (
    DriftWarning,
    Input,
    Policy,
    Prediction,
    RequestFacts,
)
from edgewise.route.running import Run
from edgewise.route.serving import Serving


class InputWatch(Protocol):
    """Compares requests with a reference. Called on the engine's event loop; returns at once.

    `begin` is called before anything else, and with each other policy.
    """

    @property
    def warnings(self) -> tuple[DriftWarning, ...]:
        """Give what differs at this moment."""

    @property
    def is_watching(self) -> bool:
        """Say whether there is anything to compare with."""

    def begin(self, policy: Policy) -> None:
        """Watch by a policy from now on."""

    def look(
        self,
        facts: RequestFacts,
        one: Input,
        answer: Prediction | None,
        confidence: float | None,
        now_s: float,
    ) -> object:
        """See a request, and what the nearest tier said of it where it was asked."""


class Watching:
    """The engine's door to its watch; does nothing where it has none. Made by the engine."""

    def __init__(self, watch: InputWatch | None, serving: Serving) -> None:
        self._watch = watch
        self.begin(serving)

    def begin(self, serving: Serving) -> None:
        """Watch the requests of a policy from now on."""
        self._serving = serving
        if self._watch is not None:
            self._watch.begin(serving.policy)
            self._tell(self._watch, serving)

    def note(self, run: Run, now_s: float) -> None:
        """Show a request that has ended, where it is one that the certificate is about.

        It is about requests that may leave. Forced ones, and answers from the queue, are left out,
        and so are all while no model is here that counts lengths as the reference does.
        """
        watch, serving, facts = self._watch, run.serving, run.facts
        if watch is None or serving is not self._serving or not watch.is_watching:
            return
        if facts.private or facts.detected or facts.refused or facts.force_location is not None:
            return
        edge = serving.policy.tiers[0].name
        tier = serving.tiers.get(edge)
        if not run.steps or tier is None or tier.remote or not tier.ready:
            return
        confidence = next((one.confidence for one in run.attempts if one.tier == edge), None)
        watch.look(facts, run.one, run.answers.get(edge), confidence, now_s)
        self._tell(watch, serving)

    def _tell(self, watch: InputWatch, serving: Serving) -> None:
        """Let results and the decision log say what differs."""
        found = tuple(one.code for one in watch.warnings)
        if serving.warnings != found:
            serving.warnings = found
