"""A reference to a secret."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Where a secret is read from; never the secret itself. Exactly one is given."""

    env: str | None = None
    file: str | None = None
