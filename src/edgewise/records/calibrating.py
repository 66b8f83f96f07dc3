"""What `edgewise calibrate` and `edgewise recertify` end in."""

from dataclasses import dataclass

from edgewise.records.certificate import Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateSummary:
    """`edgewise calibrate --json`: the certificate that new labels give, and what was written."""

    run: str
    labels: str
    labels_would_do: int | None
    """With how many labels like these a certificate is likely; `None` where it is certified, or
    where more of the same would not do."""
    certificate: Certificate
    edge_accuracy: float
    """On the rows that may leave the device; for `disagreement`, the share equal to the cloud's."""
    cloud_accuracy: float
    written: tuple[str, ...] = ()
    """Empty where there is no certificate: everything is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecertifySummary:
    """`edgewise recertify --json`: the certificate that audited samples give."""

    run: str
    audit: str
    """The file of samples."""
    samples: int
    """Those that the certificate is made from."""
    left_out: int
    """Of the run's certificate too, but from before it was void, without a label where labels are
    used, or drawn at a higher share than others."""
    lost: int
    """Those that the cloud gave no answer for: taken as if it had been right and the edge not."""
    labelled: int
    since_void: bool
    certificate: Certificate
    threshold_before: float | None
    written: tuple[str, ...] = ()
    """Empty where there is no certificate: everything is as it was."""
    judged: int | None = None
    """Those with a judge's qualities, where it is made by them: the others are taken as lost."""
