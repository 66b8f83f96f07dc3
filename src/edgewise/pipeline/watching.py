"""What the calibration split looks like: the reference that live inputs are watched against."""

from collections.abc import Sequence

import numpy as np

from edgewise.calibrate import confidences
from edgewise.observe import histogram_of, histogram_of_scripts
from edgewise.pipeline.answers import LocalAnswers, inputs_of, may_leave
from edgewise.records import (
    ConfidenceMap,
    DriftRules,
    Histogram,
    Input,
    ProjectSpec,
    Split,
)
from edgewise.runtimes import LocalModel


def drift_rules(
    spec: ProjectSpec,
    model: LocalModel,
    split: Split,
    answers: LocalAnswers,
    confidence: ConfidenceMap,
) -> DriftRules | None:
    """Give the rules for a policy: length, confidence, and the script of texts; none unaudited.

    Parameters
    ----------
    answers
        Of the bundle on the rows of the split that may leave.
    """
    leaving = may_leave(spec, split)
    if spec.audit is None or not leaving.examples:
        return None
    inputs = inputs_of(spec, leaving.examples)
    values = confidences(confidence, np.asarray(answers.probabilities))
    lengths = [float(model.length(one)) for one in inputs]
    found = [
        histogram_of("length", lengths),
        histogram_of("confidence", [float(one) for one in values]),
        *_scripts(inputs),
    ]
    return DriftRules(reference=tuple(found))


def _scripts(inputs: Sequence[Input]) -> list[Histogram]:
    texts = [one["text"] for one in inputs if isinstance(one.get("text"), str)]
    return [histogram_of_scripts(texts)] if texts else []
