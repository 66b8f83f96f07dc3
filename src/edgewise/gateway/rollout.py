"""From one policy to the next: staged, watched in the shadow, tried on a share, put in service.

What is changed here is in memory: the policy's file stays as it is, and a restart reads it.
"""

import asyncio
import random  # noqa: TID251 - only the type of the rng that is handed in
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from edgewise.errors import EdgewiseError, TierUnavailable, UsageError
from edgewise.gateway.events import Events
from edgewise.gateway.sequential import FailsMore
from edgewise.gateway.shadow import Shadow
from edgewise.records import CertificateState, Decision, Policy, digest, encode
from edgewise.route import HybridInferenceEngine, compare_policies
from edgewise.route.opening import check_exchange

_ALPHA = 0.01
"""The chance that a canary which is no worse is taken back."""


class Rollout:
    """Carries policies through their stages. Made by the gateway, used from its event loop.

    Parameters
    ----------
    swap
        Puts a policy in service and gives the version before.
    open_engine
        Opens an engine beside the one in service.
    """

    def __init__(
        self,
        engine: HybridInferenceEngine,
        *,
        swap: Callable[[Policy], Awaitable[str]],
        open_engine: Callable[[Policy], Awaitable[HybridInferenceEngine]],
        rng: random.Random,
        events: Events,
    ) -> None:
        self._engine = engine
        self._swap, self._open, self._rng, self._events = swap, open_engine, rng, events
        self.staged: Policy | None = None
        self.before: Policy | None = None
        self.shadow: Shadow | None = None
        self.canary: HybridInferenceEngine | None = None
        self.share = 0.0
        self.test = FailsMore()
        self.taken_back = False
        self._under_way: Counter[HybridInferenceEngine] = Counter()
        """Requests of canaries."""
        self._leaving: set[HybridInferenceEngine] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def choose(self) -> HybridInferenceEngine:
        """Give the engine for a request; `ended` has to be told of its end."""
        if self.canary is not None and self._rng.random() < self.share:
            self._under_way[self.canary] += 1
            return self.canary
        return self._engine

    def ended(self, engine: HybridInferenceEngine, failure: BaseException | None) -> None:
        """Note how a request ended; a canary that fails more often gets no more of them."""
        if engine is not self._engine:
            self._left(engine)
        if self.canary is None or (failure is not None and not isinstance(failure, EdgewiseError)):
            return
        failed = isinstance(failure, TierUnavailable)
        if engine is self._engine:
            self.test.see_control(failed=failed)
        elif engine is not self.canary:  # of one that was tried before
            return
        elif self.test.see_canary(failed=failed) >= 1.0 / _ALPHA and not self.taken_back:
            self._take_back("fails more often, and is taken back", self.canary)

    def _take_back(self, words: str, canary: HybridInferenceEngine) -> None:
        self.share, self.taken_back = 0.0, True
        self._say("taken_back", words, canary)

    def _left(self, canary: HybridInferenceEngine) -> None:
        """Note that a canary has one request less; one that is stopped closes after the last."""
        self._under_way[canary] -= 1
        if not self._under_way[canary]:
            del self._under_way[canary]
            if canary in self._leaving:
                self._leaving.discard(canary)
                closing = asyncio.get_running_loop().create_task(canary.aclose())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def see(self, decision: Decision) -> None:
        """Let the shadow look at a decision of the policy in service.

        Nobody audits a canary: one of the same certificate as the one in service is taken back
        when that is void.
        """
        if decision.policy_version != self._engine.policy_version:
            return
        canary, void = self.canary, decision.certificate_state == CertificateState.VOID.value
        if void and canary is not None and not self.taken_back and self._shares(canary.policy):
            self._take_back("has a certificate that was voided, and is taken back", canary)
        if self.shadow is not None:
            self.shadow.see(decision, self._engine.policy)

    def _shares(self, policy: Policy) -> bool:
        """Say whether a policy relies on the certificate of the one in service."""
        one = policy.certificate
        relies = one is not None and one.state is CertificateState.CERTIFIED
        return relies and one == self._engine.policy.certificate

    def stage(self, policy: Policy) -> dict[str, Any]:
        """Take a policy to be put in service; gives what it would change.

        Raises
        ------
        UsageError
            When another one is tried: what is promoted then would be one that was not; or when
            it can't take the place of the one in service.
        """
        check_exchange(self._engine.policy, policy)
        version = digest(policy)
        if self.canary is not None and self.canary.policy_version != version:
            what = f"policy {self.canary.policy_version[:16]} is tried"
            raise UsageError(what, where="stage", hint="promote it or roll it back first")
        self.staged, self.shadow = policy, None
        self._events.say("stage", f"policy {version[:16]} is staged", policy_version=version)
        return {"staged": version, "diff": self.diff()}

    def diff(self) -> dict[str, Any]:
        """Give what differs between the policy in service and the staged one, loosest first."""
        return encode(compare_policies(self._engine.policy, self._staged()))

    def watch(self) -> dict[str, Any]:
        """Let the staged policy decide beside the one in service; gives the comparison so far."""
        if self.shadow is None:
            self.shadow = Shadow(self._staged())
            version = digest(self._staged())
            words = f"policy {version[:16]} decides in the shadow"
            self._events.say("shadow", words, policy_version=version)
        return self.shadow.report()

    async def try_on(self, share: float) -> None:
        """Give the staged policy a share of the requests; 0 gives it none.

        Raises
        ------
        UsageError
            When it is no share, nothing is staged, the policy has an offline queue, or the audit
            has voided its certificate.
        """
        if not 0.0 <= share <= 1.0:
            raise UsageError(f"not a share: {share}", where="share", hint="give 0 to 1, like 0.05")
        policy = self._staged()
        if policy.offline is not None:
            what = "a policy that stores requests can't be tried: its queue has one reader"
            hint = "watch it in the shadow, or promote it"
            raise UsageError(what, where="policy.offline", hint=hint)
        audit = self._engine.audit
        if share > 0.0 and audit is not None and audit.void and self._shares(policy):
            what, hint = "the audit has voided its certificate", "stage a policy with another one"
            raise UsageError(what, where="policy.certificate", hint=hint)
        if self.canary is None or self.canary.policy_version != digest(policy):
            opened = await self._open(policy)
            await self.stop()
            self.canary, self.test, self.taken_back = opened, FailsMore(), False
        if (
            self.taken_back and share > 0.0
        ):  # tried again: what is known of the time before holds no longer
            self.test, self.taken_back = FailsMore(), False
        self.share = share
        self._say("canary", f"gets {share:g} of the requests", self.canary, share=share)

    async def promote(self) -> None:
        """Put the staged policy in service for all requests."""
        policy, was = self._staged(), self._engine.policy
        before = await self._swap(policy)
        self.before = was
        self.staged = self.shadow = None
        self._say("promote", "is in service", self._engine, before=before)
        await self.stop()

    async def roll_back(self) -> None:
        """Put the policy before in service again, and give the canary nothing.

        Raises
        ------
        UsageError
            When there was none before, and there is no canary.
        """
        if self.canary is not None:
            self._say("rollback", "is no longer tried", self.canary)
            await self.stop()
            return
        if self.before is None:
            raise UsageError("no policy was there before", where="rollback", hint="stage one")
        before = await self._swap(self.before)
        self.before = None
        self._say("rollback", "is in service again", self._engine, before=before)

    async def stop(self) -> None:
        """End the canary; what it still answers is answered."""
        canary, self.canary, self.share = self.canary, None, 0.0
        if canary is not None and self._under_way[canary]:
            self._leaving.add(canary)
        elif canary is not None:
            await canary.aclose()

    async def aclose(self) -> None:
        """End the canary, and wait for those that ended before, when no more requests come."""
        await self.stop()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def state(self) -> dict[str, Any]:
        """Give where things stand."""
        canary = None
        if self.canary is not None:
            n, failed = self.test.canary
            canary = {
                "policy_version": self.canary.policy_version,
                "share": self.share,
                "requests": n,
                "failures": failed,
                "control": {"requests": self.test.control[0], "failures": self.test.control[1]},
                "e": self.test.e,
                "taken_back": self.taken_back,
            }
        return {
            "policy_version": self._engine.policy_version,
            "staged": None if self.staged is None else digest(self.staged),
            "before": None if self.before is None else digest(self.before),
            "shadow": None if self.shadow is None else self.shadow.report(),
            "canary": canary,
        }

    def _say(
        self, event: str, words: str, engine: HybridInferenceEngine, **fields: str | float
    ) -> None:
        version = engine.policy_version
        said = f"policy {version[:16]} {words}"
        level = "warning" if event == "taken_back" else "info"
        self._events.say(event, said, level=level, policy_version=version, **fields)

    def _staged(self) -> Policy:
        if self.staged is None:
            hint = "POST a policy to /admin/stage"
            raise UsageError("no policy is staged", where="admin", hint=hint)
        return self.staged
