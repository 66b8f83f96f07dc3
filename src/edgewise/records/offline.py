"""How much may wait for the network, and how long."""

import math
from dataclasses import dataclass

from edgewise.errors import InvalidRecord
from edgewise.records.api_key import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRules:
    """How much may wait for the network, and how long."""

    path: str
    """The queue's file; it is made when it is not there. One process uses it at a time."""
    max_count: int = 10_000
    """Requests and untaken answers together."""
    max_bytes: int = 67_108_864
    """Of payloads and untaken answers, with room kept for each answer to come."""
    max_answer_bytes: int = 4_096
    """Room kept for the answer of each request. A larger one is kept while `max_bytes` allows."""
    max_age_s: float = 86_400.0
    """A request that has waited this long ends as expired."""
    keep_answers_s: float = 604_800.0
    """An answer that nobody takes is dropped after this long."""
    max_tries: int = 8
    """A request that the remote tier failed on this often ends as given up. A link that is down
    counts no try."""
    key: ApiKey | None = None
    """Where the secret is read from that seals the queue; `None` leaves it readable."""

    def __post_init__(self) -> None:
        least = min(self.max_count, self.max_bytes, self.max_answer_bytes, self.max_tries)
        ages_s = (self.max_age_s, self.keep_answers_s)
        if least < 1 or not all(0.0 < age_s < math.inf for age_s in ages_s):
            raise InvalidRecord(
                "a limit is not above 0", where="OfflineRules", hint="leave it out for its default"
            )
