"""The contract between an input, a model's tensors and a prediction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from edgewise.records import Input, Prediction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TaskModel(Protocol):
    """Turns inputs to tensors and logits to predictions. No call changes another's answer."""

    labels: tuple[str, ...]

    def encode(self, inputs: Sequence[Input]) -> "dict[str, NDArray[np.generic]]":
        """Give the tensors of a batch, padded to its longest input only.

        Raises
        ------
        InvalidData
            When an input lacks its key or has another type.
        """
        ...

    def decode(self, logits: "NDArray[np.floating]") -> list[Prediction]:
        """Give a prediction a row from logits of shape (n, number of labels)."""
        ...

    def length(self, one: Input) -> int:
        """Count an input's tokens or pixels."""
        ...

    def read_ahead(self, one: Input) -> int:
        """Count as `length`, and keep what that took for the answer, which is asked next."""
        ...
