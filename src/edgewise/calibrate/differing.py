"""How often kept answers differ from the cloud's: what an audit without labels can see."""

import numpy as np
from numpy.typing import ArrayLike

from edgewise.calibrate.level import Method, choose, test_for
from edgewise.calibrate.measured import measured, sequence_of
from edgewise.records import Certificate, CertificateState, Loss

_PART = 10.0


def disagreement_limit(
    certificate: Certificate,
    confidence: ArrayLike,
    agrees: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
) -> float | None:
    """Give the upper limit of disagreement at a certificate's threshold, at a tenth of its delta.

    Of all requests, or of those kept where the loss is `kept_error`. As if the threshold had been
    fixed before: what choosing it costs is left to the small level. `None` where the certificate
    promises nothing, or bounds disagreement itself.

    Parameters
    ----------
    confidence, agrees, clusters : shape (n,)
        Of the examples that it was made from; `agrees` is 1 where edge and cloud gave one answer.

    Raises
    ------
    InvalidData
        When lengths differ, there is no example, or a value is not finite or out of range.
    """
    if certificate.state is not CertificateState.CERTIFIED or certificate.threshold is None:
        return None
    if certificate.loss is Loss.DISAGREEMENT:
        return None
    data = measured(confidence, agrees, np.ones(len(np.asarray(agrees))), clusters)
    among = Loss.KEPT_ERROR if certificate.loss is Loss.KEPT_ERROR else Loss.DISAGREEMENT
    sequence = sequence_of(data.confidence, data.losses(among))
    kept = np.flatnonzero(sequence.thresholds >= certificate.threshold)
    if not len(kept):
        return None
    method = choose(Method.AUTO, among, data)
    test = test_for(method, data, sequence, among, certificate.delta / _PART)
    return test.upper_limit(int(kept[-1]))
