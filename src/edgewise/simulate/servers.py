"""One tier's servers in an event loop: batches, a bounded line, servers that come and go."""

import math
from collections import deque
from collections.abc import Callable

from edgewise.records import Batching, QueueRules
from edgewise.simulate.clockwork import Clockwork
from edgewise.simulate.tally import TierTally

_SYSTEM = -1
"""Goes before every request of its moment."""


class Job:
    """One request at one tier. Made by `events`, served by `Servers`."""

    __slots__ = ("came_s", "ended", "left", "number", "service_s")

    def __init__(self, number: int, service_s: float, ended: Callable[[float], None]) -> None:
        self.number = number
        self.service_s = service_s
        self.ended = ended
        self.came_s = 0.0
        self.left = True
        """It does not wait: it has not come, is begun, or its caller has gone. What is begun runs
        to its end."""


class Servers:
    """Serves jobs first come, first served. Made by `events`.

    Parameters
    ----------
    servers
        `None`: as many as are needed.
    """

    def __init__(
        self, servers: int | None, rules: QueueRules | None, clockwork: Clockwork, tally: TierTally
    ) -> None:
        rules = rules or QueueRules()
        self._batching = rules.batching
        self._scaling = rules.autoscaling
        self._most_waiting = rules.most_waiting
        self._clockwork = clockwork
        self._tally = tally
        self._line: deque[Job] = deque()
        self._waiting = 0
        self._busy = 0
        self._able: float = math.inf if servers is None else servers
        if self._scaling is not None:
            self._able = min(max(servers or 0, self._scaling.least), self._scaling.most)
        self._most = self._able if self._scaling is None else self._scaling.most
        self._served, self._work_s = 0, 0.0
        self._coming = 0
        self._looked_s = self._changed_s = 0.0
        self._busy_s = 0.0
        self._looking = False

    def come(self, job: Job, now_s: float) -> bool:
        """Take a job; `False` where the line is full."""
        tally = self._tally
        tally.came += 1
        if self._scaling is not None and not self._looking:
            self._looking = True
            self._looked_s = self._changed_s = now_s
            self._clockwork.at(now_s + self._scaling.look_s, _SYSTEM, self._look)
        full = self._most_waiting is not None and self._waiting >= self._most_waiting
        if full and self._busy >= self._able:
            tally.refused += 1
            return False
        job.came_s = now_s
        if not self._waiting and self._batching is None and self._busy < self._able:
            self._begin_alone(job, now_s)  # whoever is left in the line has gone
            return True
        job.left = False
        self._line.append(job)
        self._waiting += 1
        self._dispatch(now_s)
        return True

    @property
    def busy_s(self) -> float:
        """Give the work that each of the most servers had, but for the last request's."""
        return self._work_s * (1.0 - 1.0 / max(self._served, 1)) / self._most

    def leave(self, job: Job) -> None:
        """Note that nobody waits for a job any more."""
        if not job.left:
            job.left = True
            self._waiting -= 1

    def _dispatch(self, now_s: float) -> None:
        """Begin what can begin."""
        line = self._line
        while line and self._busy < self._able:
            if line[0].left:
                line.popleft()
                continue
            batching = self._batching
            if batching is None:
                self._waiting -= 1
                self._begin_alone(line.popleft(), now_s)
                continue
            if self._waiting < batching.most:
                full_s = line[0].came_s + batching.wait_ms / 1000.0
                if now_s < full_s:
                    self._clockwork.at(full_s, line[0].number, self._dispatch)
                    return
            self._begin(now_s, batching)

    def _begin_alone(self, job: Job, now_s: float) -> None:
        job.left = True
        self._tally.note_one(now_s - job.came_s, job.service_s)
        self._served += 1
        self._work_s += job.service_s
        self._pass(now_s)
        self._busy += 1

        def served(then_s: float) -> None:
            self._pass(then_s)
            self._busy -= 1
            job.ended(then_s)
            if self._waiting:
                self._dispatch(then_s)

        self._clockwork.at(now_s + job.service_s, job.number, served)

    def _begin(self, now_s: float, batching: Batching) -> None:
        jobs: list[Job] = []
        while self._line and len(jobs) < batching.most:
            job = self._line.popleft()
            if not job.left:
                jobs.append(job)
                job.left = True
        self._waiting -= len(jobs)
        takes_s = max(job.service_s for job in jobs)
        takes_s *= 1.0 + batching.added_share * (len(jobs) - 1)
        self._tally.note([now_s - job.came_s for job in jobs], takes_s)
        self._served += len(jobs)
        self._work_s += takes_s
        self._pass(now_s)
        self._busy += 1

        def served(then_s: float) -> None:
            self._pass(then_s)
            self._busy -= 1
            for job in jobs:
                job.ended(then_s)
            self._dispatch(then_s)

        self._clockwork.at(now_s + takes_s, jobs[0].number, served)

    def _pass(self, now_s: float) -> None:
        """Count the time of busy servers up to now."""
        if self._scaling is not None:
            self._busy_s += self._busy * (now_s - self._changed_s)
            self._changed_s = now_s

    def _look(self, now_s: float) -> None:
        """Set how many servers there should be by how busy they were."""
        rules = self._scaling
        assert rules is not None
        self._pass(now_s)
        passed_s = now_s - self._looked_s
        self._tally.server_s = (self._tally.server_s or 0.0) + self._able * passed_s
        wanted = math.ceil(self._busy_s / passed_s / rules.target_utilization - 1e-9)
        wanted = min(max(wanted, rules.least), rules.most)
        self._looked_s, self._busy_s = now_s, 0.0
        more = wanted - int(self._able) - self._coming
        if more > 0:
            self._coming += more
            for _ in range(more):
                self._clockwork.at(now_s + rules.delay_s, _SYSTEM, self._add)
        elif wanted < self._able:
            self._able = wanted
        self._tally.servers = max(self._tally.servers or 0, int(self._able))
        if self._busy or self._waiting or self._able > rules.least or self._coming:
            self._clockwork.at(now_s + rules.look_s, _SYSTEM, self._look)
        else:
            self._looking = False

    def _add(self, now_s: float) -> None:
        self._coming -= 1
        self._able += 1
        self._dispatch(now_s)
