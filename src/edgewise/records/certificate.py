"""A statistical promise together with its data, and the map that makes confidence a probability."""

import math
from dataclasses import dataclass
from enum import Enum

from edgewise.errors import InvalidRecord


class CertificateState(Enum):
    """Whether the promise stands."""

    CERTIFIED = "certified"
    UNCERTIFIED = "uncertified"
    VOID = "void"


class Loss(Enum):
    """What the certificate bounds; each is zero where the edge defers."""

    NET = "net"
    """Accuracy of always-cloud minus accuracy of the hybrid."""
    REGRET = "regret"
    """Share of requests where the edge kept a wrong answer and the cloud was right."""
    KEPT_ERROR = "kept_error"
    """Share of wrong answers among the kept ones."""
    DISAGREEMENT = "disagreement"
    """Share of requests where the edge kept an answer that differs from the cloud's."""


class CloudAnswers(Enum):
    """Where the cloud's answers on the calibration split came from."""

    CALL = "call"
    COLUMN = "column"
    ASSUME_RIGHT = "assume_right"
    GIVEN = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """At confidence `1 - delta`, keeping what reaches `threshold` loses at most `alpha`."""

    state: CertificateState
    loss: Loss
    alpha: float
    delta: float
    n: int
    threshold: float | None
    """Keep the edge's answer where its confidence is at least this; `None` keeps nothing."""
    deferral_rate: float
    """Share of the calibration examples below the threshold."""
    bound: float | None
    """Upper confidence limit of the loss at the threshold, at level `1 - delta`."""
    empirical_loss: float | None = None
    method: str = ""
    reasons: tuple[str, ...] = ()
    labels_missing: int = 0
    """How many more labels would do, when there are too few."""
    cloud_answers: CloudAnswers = CloudAnswers.GIVEN
    bundle_sha256: str = ""
    calibration_sha256: str = ""
    """Hash of the calibration split's rows in order."""

    def __post_init__(self) -> None:
        if not (0.0 < self.alpha < 1.0 and 0.0 < self.delta < 1.0):
            what = f"alpha is {self.alpha} and delta is {self.delta}"
            raise InvalidRecord(what, where="Certificate", hint="give both between 0 and 1")


class CalibrationKind(Enum):
    """How raw confidence is mapped to a probability of being right."""

    IDENTITY = "identity"
    TEMPERATURE = "temperature"
    ISOTONIC = "isotonic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How well confidence meant probability on a split, before and after calibration."""

    n: int
    ece_before: float
    ece_after: float
    brier_before: float
    brier_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceMap:
    """Maps a prediction's probabilities to a calibrated confidence.

    Fitted by `calibrate`, applied by the engine.

    A temperature T maps the probabilities p to p**(1/T), normalized, and takes the top;
    isotonic interpolates `outputs` over `inputs` at the raw top probability.
    """

    kind: CalibrationKind = CalibrationKind.IDENTITY
    temperature: float = 1.0
    inputs: tuple[float, ...] = ()
    outputs: tuple[float, ...] = ()
    reliability: Reliability | None = None

    def __call__(self, probabilities: tuple[float, ...]) -> float:
        """Give the calibrated confidence of one answer with these class probabilities."""
        top = max(probabilities)
        if self.kind is CalibrationKind.TEMPERATURE and top > 0.0:
            power = 1.0 / self.temperature
            total = sum(math.exp(math.log(p / top) * power) for p in probabilities if p > 0.0)
            return 1.0 / total
        if self.kind is CalibrationKind.ISOTONIC:
            return _interpolate(top, self.inputs, self.outputs)
        return top


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    if x <= xs[0]:
        return ys[0]
    for left in range(len(xs) - 1):
        if x <= xs[left + 1]:
            span = xs[left + 1] - xs[left]
            share = (x - xs[left]) / span if span > 0 else 1.0
            return ys[left] + share * (ys[left + 1] - ys[left])
    return ys[-1]
