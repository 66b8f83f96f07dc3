"""Feature extraction: text to a vector, which has no labels."""

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InvalidModel
from edgewise.records import Prediction
from edgewise.tasks.text import TextClassification


class FeatureExtraction(TextClassification):
    """Text to token ids as a classifier takes them. Made by `open_task`."""

    def decode(self, logits: NDArray[np.floating]) -> list[Prediction]:
        """Refuse: an embedding is no answer of a classifier.

        Raises
        ------
        InvalidModel
            Always.
        """
        what = f"an encoder gives embeddings of {np.shape(logits)[-1]} numbers and no labels"
        raise InvalidModel(
            what, where="feature extraction", hint="ask `embed` instead of `predict`"
        )
