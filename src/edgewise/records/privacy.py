"""What is done with a request that holds personal data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

PersonalKind = Literal[
    "email",
    "phone",
    "card",
    "iban",
    "ip",
    "us_ssn",
    "uk_nino",
    "uk_nhs",
    "es_dni",
    "it_codice_fiscale",
    "de_tax_id",
    "fr_nir",
    "br_cpf",
    "in_aadhaar",
    "name",
]
"""What can be looked for in a request; `name` needs the extra `privacy`."""


class PrivacyAction(Enum):
    """What becomes of a request in which a kind of personal data was found."""

    KEEP = "keep"
    """It stays on the device."""
    REDACT = "redact"
    """It may leave with placeholders in place of the data; the answer gets the data back."""
    REFUSE = "refuse"
    """It is not answered at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyActions:
    """The action for each kind of personal data. Made by the user, read for each request."""

    default: PrivacyAction = PrivacyAction.KEEP
    by_kind: Mapping[str, PrivacyAction] = field(default_factory=dict)

    def of(self, kind: str) -> PrivacyAction:
        """Give the action for a kind."""
        return self.by_kind.get(kind, self.default)
