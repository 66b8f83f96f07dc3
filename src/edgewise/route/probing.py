"""Looks at remote tiers that have no traffic: a small call to each, and none while it is busy.

A tier whose circuit is open is looked at more often, so that it serves again soon after its link is
back, without a request that has to fail first.
"""

import asyncio
import contextlib

from edgewise.errors import EdgewiseError
from edgewise.records import ProbeRules
from edgewise.route.breaker import CircuitState
from edgewise.route.clock import Clock
from edgewise.route.monitor import TierMonitor
from edgewise.route.serving import Serving
from edgewise.route.tiers import TierModel


class Prober:
    """Probes the tiers of the policy in service. Made and closed by the engine.

    It lives on the event loop of the requests: where none runs, nothing is probed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._serving: Serving | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, serving: Serving) -> None:
        """Probe the tiers of a policy from now on, where it asks for that."""
        if serving is self._serving and self._loop is asyncio.get_running_loop():
            return
        self._serving, self._loop = serving, asyncio.get_running_loop()
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # its loop has closed
                self._task.cancel()
        self._task = None
        if serving.policy.probe is not None and any(one.remote for one in serving.tiers.values()):
            self._task = self._loop.create_task(self._probe(serving))

    async def aclose(self) -> None:
        """Stop probing."""
        task, self._task = self._task, None
        if task is not None and self._loop is asyncio.get_running_loop():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _probe(self, serving: Serving) -> None:
        rules = serving.policy.probe
        while rules is not None:
            await self._clock.await_(rules.open_s)
            # Together: a tier that hangs must not keep another from being found.
            async with asyncio.TaskGroup() as group:
                for name, tier in serving.tiers.items():
                    group.create_task(self._look(tier, serving.monitors[name], rules))

    async def _look(self, tier: TierModel, monitor: TierMonitor, rules: ProbeRules) -> None:
        now_s = self._clock.now_s()
        idle_s = now_s - monitor.last_call_s
        shut = monitor.circuit(now_s) is not CircuitState.CLOSED
        if not tier.remote or not (shut or idle_s >= rules.idle_s):
            return
        try:
            await tier.probe(rules.timeout_ms)
        except EdgewiseError:
            monitor.probed(None, self._clock.now_s())
        else:
            ended_s = self._clock.now_s()
            monitor.probed((ended_s - now_s) * 1000, ended_s)
