"""Every number that a cost is made of, under the name that `edgewise.yaml` gives it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgewise.records import NUMBERS, PlanBasis

FloatArray = NDArray[np.float64]
Value = float | FloatArray
"""One number, or one a draw."""
Numbers = Mapping[str, Value]

HOURS_A_MONTH = 730.0
SECONDS_A_MONTH = HOURS_A_MONTH * 3600
JOULES_A_KWH = 3.6e6
DEFERRAL = "costs.assume.deferral_share"
"""Measured where there is a certificate."""


def numbers_of(basis: PlanBasis, deferral_share: float) -> dict[str, float]:
    """Give every number that the basis has; one that it has not is absent.

    A device's lifetime is the horizon where the spec does not say otherwise.
    """
    found: dict[str, float] = {}
    for name in NUMBERS:
        section, *rest = name.split(".")
        owner: object = getattr(basis, section, None)
        if section == "tiers":
            owner, rest = basis.cloud, rest[1:]
        for part in rest:
            owner = getattr(owner, part, None)
        if isinstance(owner, int | float):
            found[name] = float(owner)
    horizon = float(basis.workload.horizon_months)
    found.setdefault("costs.edge.lifetime_months", horizon)
    return {**found, DEFERRAL: deferral_share}
