"""What `edgewise calibrate` ends in."""

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
