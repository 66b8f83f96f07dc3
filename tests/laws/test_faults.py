"""An engine over faulty tiers, in any order of events: nothing leaks, is lost or comes twice."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, settings

from edgewise.testing.fault import Fault
from edgewise.testing.fault_machine import FaultMachine
from edgewise.testing.faulty_tier import FaultyTier
from edgewise.testing.virtual_time import LoopClock, VirtualTimeLoop


class VirtualFaults(FaultMachine):
    """In virtual time, over tiers that are only said to be far."""

    def open_world(self) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.runner.get_loop()
        self.clock = LoopClock()
        self.fakes = {
            "edge": FaultyTier(remote=False, sure=0.6),
            "site": FaultyTier(sure=0.7),
            "cloud": FaultyTier(),
        }
        self.tiers = self.fakes

    def set_fault(self, tier: str, fault: Fault) -> None:
        self.fakes[tier].fault = fault

    def found(self, tier: str, words: Sequence[str]) -> list[str]:
        everything = "\n".join(self.fakes[tier].received)
        return [one for one in words if one in everything]

    def arrived(self, tier: str) -> Mapping[str, int]:
        return self.fakes[tier].arrived

    def served(self, tier: str) -> Mapping[str, int]:
        return self.fakes[tier].served

    def teardown(self) -> None:
        super().teardown()
        assert [one.under_way for one in self.fakes.values()] == [0, 0, 0]


class ManyVirtualFaults(VirtualFaults):
    """The same, for longer."""


RULES = settings(
    deadline=None,
    max_examples=6,
    stateful_step_count=20,
    suppress_health_check=list(HealthCheck),
)
TestVirtualFaults = VirtualFaults.TestCase
TestVirtualFaults.settings = RULES
TestManyVirtualFaults = pytest.mark.slow(ManyVirtualFaults.TestCase)
TestManyVirtualFaults.settings = settings(RULES, max_examples=150, stateful_step_count=40)
