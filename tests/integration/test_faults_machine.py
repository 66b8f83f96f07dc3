"""The state machine of engine and faults over real sockets: two networks, two servers that keep
every byte, those of broken connections too."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from edgewise.records import Protocol
from edgewise.route.tiers import RemoteTier
from edgewise.runtimes import RemoteModel
from edgewise.testing.far_end import LABELS
from edgewise.testing.fault import Fault
from edgewise.testing.fault_machine import FaultMachine
from edgewise.testing.faulty_tier import FaultyTier
from edgewise.testing.network import ProxyNetwork

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class SocketFaults(FaultMachine):
    """In real time: the site and the cloud are processes behind proxies on loopback."""

    def open_world(self) -> None:
        self.runner = asyncio.Runner()
        self.edge = FaultyTier(remote=False, sure=0.6)
        self.networks = {"site": ProxyNetwork(), "cloud": ProxyNetwork()}
        for network in self.networks.values():
            network.__enter__()
        self.tiers = {"edge": self.edge}
        for name, network in self.networks.items():
            self.tiers[name] = self._remote(network.url)

    def set_fault(self, tier: str, fault: Fault) -> None:
        self.networks[tier].set(fault)

    def found(self, tier: str, words: Sequence[str]) -> list[str]:
        if tier == "edge":
            return [one for one in words if one in "\n".join(self.edge.received)]
        return self.networks[tier].find(words)

    def arrived(self, tier: str) -> Mapping[str, int]:
        return self.edge.arrived if tier == "edge" else self.networks[tier].seen().arrived

    def served(self, tier: str) -> Mapping[str, int]:
        return self.edge.served if tier == "edge" else self.networks[tier].seen().served

    def teardown(self) -> None:
        try:
            super().teardown()
            until_s = time.monotonic() + 10.0
            while any(one.seen().open for one in self.networks.values()):
                assert time.monotonic() < until_s, "a connection is left"
        finally:
            for network in self.networks.values():
                network.__exit__()

    @staticmethod
    def _remote(url: str) -> Any:
        return RemoteTier(lambda: RemoteModel(url, protocol=Protocol.JSON, labels=LABELS))


TestSocketFaults = SocketFaults.TestCase
TestSocketFaults.settings = settings(
    deadline=None,
    max_examples=12,
    stateful_step_count=15,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
