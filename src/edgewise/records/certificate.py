"""A statistical promise together with its data, and the map that makes confidence a probability."""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from enum import Enum

from edgewise.errors import IntegrityError, InvalidRecord
from edgewise.records.codec import digest
from edgewise.records.score import LearnedScore, Score, certainty, margin


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
    AUDIT = "audit"
    """Live answers, sampled by the audit."""


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
    """How many more labels (or clusters) would do, when there are too few."""
    warnings: tuple[str, ...] = ()
    """What is doubtful about the examples, such as that they look dependent."""
    cloud_answers: CloudAnswers = CloudAnswers.GIVEN
    disagreement_limit: float | None = None
    """Upper limit of how often an answer that was kept differed from the cloud's, of all requests,
    or of those kept where the loss is `kept_error`; at level `1 - delta / 10`, as if the threshold
    had been fixed before. What the audit compares with where it has no labels; `None` where the
    cloud's own answers were not known."""
    bundle_sha256: str = ""
    calibration_sha256: str = ""
    """Hash of the calibration split's rows in order."""
    seal_sha256: str = ""
    """Digest of this record with this field empty; `seal` fills it, `check_certificate` reads it.
    It tells of a change by hand, not of one who makes a seal of his own."""

    def __post_init__(self) -> None:
        if not (0.0 < self.alpha < 1.0 and 0.0 < self.delta < 1.0):
            what = f"alpha is {self.alpha} and delta is {self.delta}"
            raise InvalidRecord(what, where="Certificate", hint="give both between 0 and 1")
        limit = self.disagreement_limit
        if limit is not None and not 0.0 <= limit <= 1.0:
            what = f"disagreement_limit is {limit}"
            raise InvalidRecord(what, where="Certificate", hint="give a share, 0 to 1, or none")
        if self.state is CertificateState.CERTIFIED and not self._promises():
            what = f"certified with threshold {self.threshold}, bound {self.bound}, n {self.n}"
            hint = "a certificate has a finite threshold, and a bound of at most alpha"
            raise InvalidRecord(what, where="Certificate", hint=hint)

    def _promises(self) -> bool:
        if self.threshold is None or self.bound is None or self.n < 1:
            return False
        return math.isfinite(self.threshold) and self.bound <= self.alpha


def seal(certificate: Certificate) -> Certificate:
    """Give the certificate with its digest in it, so that a later change can be told."""
    blank = replace(certificate, seal_sha256="")
    return replace(blank, seal_sha256=digest(blank))


def check_certificate(
    certificate: Certificate,
    *,
    bundle_sha256: str,
    threshold: float | None,
    where: str = "certificate",
) -> None:
    """See that a certificate is as it was sealed, and belongs to a bundle and a threshold.

    Parameters
    ----------
    where
        What it stands in, for the error.

    Raises
    ------
    IntegrityError
        When it was changed, or was made for others.
    """
    hint = "certify anew: `edgewise calibrate` or `edgewise run`"
    if seal(certificate).seal_sha256 != certificate.seal_sha256:
        raise IntegrityError("it was changed after it was made", where=where, hint=hint)
    if certificate.bundle_sha256 != bundle_sha256:
        made, this = certificate.bundle_sha256[:12], bundle_sha256[:12]
        raise IntegrityError(f"made for bundle {made}, not for {this}", where=where, hint=hint)
    if certificate.threshold != threshold:
        what = f"certified threshold {certificate.threshold}, and the policy has {threshold}"
        raise IntegrityError(what, where=where, hint=hint)


class CalibrationKind(Enum):
    """How a score is mapped to a probability of being right."""

    IDENTITY = "identity"
    TEMPERATURE = "temperature"
    LOGISTIC = "logistic"
    ISOTONIC = "isotonic"
    VENN_ABERS = "venn_abers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How well confidence meant probability on a split, before and after calibration."""

    n: int
    ece_before: float
    ece_after: float
    brier_before: float
    brier_after: float
    warnings: tuple[str, ...] = ()
    """What is doubtful about the examples, such as that they look dependent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceMap:
    """Maps a prediction's probabilities to a calibrated confidence.

    Fitted by `calibrate`, applied by the engine. First `score` makes one number s of them, then
    `kind` makes a probability of it:

    - temperature T: the probabilities p to p**(1/T), normalized, and their top (`top` only)
    - logistic: 1 / (1 + exp(-(slope s + intercept)))
    - isotonic: `outputs` interpolated over `inputs` at s
    - Venn-Abers: a step function: `outputs` has, in turn, the value below the first of `inputs`,
      at it, between it and the second, at that, and so on
    """

    kind: CalibrationKind = CalibrationKind.IDENTITY
    score: Score = Score.TOP
    temperature: float = 1.0
    slope: float = 1.0
    intercept: float = 0.0
    inputs: tuple[float, ...] = ()
    outputs: tuple[float, ...] = ()
    learned: LearnedScore | None = None
    reliability: Reliability | None = None

    def __post_init__(self) -> None:
        ins, outs = len(self.inputs), len(self.outputs)
        fits = {
            CalibrationKind.ISOTONIC: outs == ins > 0,
            CalibrationKind.VENN_ABERS: outs == 2 * ins + 1,
        }
        if not fits.get(self.kind, True):
            what = f"{outs} outputs for {ins} inputs"
            raise InvalidRecord(what, where="ConfidenceMap", hint="fit it anew")
        if (self.score is Score.LEARNED) != (self.learned is not None):
            what = "`learned` and its weights go together"
            raise InvalidRecord(what, where="ConfidenceMap", hint="give both or none")
        if self.kind is CalibrationKind.TEMPERATURE and self.score is not Score.TOP:
            what = f"a temperature does not map the score `{self.score.value}`"
            raise InvalidRecord(what, where="ConfidenceMap", hint="fit it anew")
        if self.kind is CalibrationKind.TEMPERATURE and not self.temperature > 0.0:
            what = f"temperature is {self.temperature}, not above 0"
            raise InvalidRecord(what, where="ConfidenceMap", hint="fit it anew")

    def __call__(
        self, probabilities: tuple[float, ...], *, energy: float | None = None, length: int = 0
    ) -> float:
        """Give the calibrated confidence of one answer with these class probabilities.

        Parameters
        ----------
        energy
            The log-sum-exp of the logits. The score `energy` without it gives 0: not sure.
        length
            Of the input, as the task counts it; for a learned score.
        """
        if self.kind is CalibrationKind.TEMPERATURE:
            return _tempered(probabilities, self.temperature)
        raw = self.raw(probabilities, energy=energy, length=length)
        return 0.0 if raw is None else self.at(raw)

    def raw(
        self, probabilities: tuple[float, ...], *, energy: float | None = None, length: int = 0
    ) -> float | None:
        """Give the score before it is made a probability; `None` where it can't be had."""
        if self.score is Score.TOP:
            return max(probabilities)
        if self.score is Score.MARGIN:
            return margin(probabilities)
        if self.score is Score.ENTROPY:
            return certainty(probabilities)
        if self.learned is None:
            return energy
        top = max(probabilities)
        more = (margin(probabilities), certainty(probabilities), math.log1p(length))
        return self.learned.value(top, probabilities.index(top), more)

    def at(self, score: float) -> float:
        """Give the confidence of a score; temperature maps probabilities, not scores."""
        if self.kind is CalibrationKind.LOGISTIC:
            exponent = -(self.slope * score + self.intercept)
            return 1.0 / (1.0 + math.exp(min(max(exponent, -700.0), 700.0)))
        if self.kind is CalibrationKind.ISOTONIC:
            return _interpolate(score, self.inputs, self.outputs)
        if self.kind is CalibrationKind.VENN_ABERS:
            place = bisect_left(self.inputs, score)
            there = place < len(self.inputs) and self.inputs[place] == score
            return self.outputs[2 * place + there]
        return score


def _tempered(probabilities: tuple[float, ...], temperature: float) -> float:
    top = max(probabilities)
    if top <= 0.0:
        return top
    power = 1.0 / temperature
    return 1.0 / sum(math.exp(math.log(p / top) * power) for p in probabilities if p > 0.0)


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    right = bisect_left(xs, x)
    if right == 0:
        return ys[0]
    if right == len(xs):
        return ys[-1]
    span = xs[right] - xs[right - 1]
    return ys[right - 1] + (x - xs[right - 1]) / span * (ys[right] - ys[right - 1])
