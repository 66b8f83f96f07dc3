"""Small torch modules with random weights. Needs torch: imported by heavy tests alone."""

import numpy as np
import torch
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.generic]]

WORDS, CLASSES, LENGTH = 100, 3, 12


class WordCount(torch.nn.Module):  # type: ignore[misc]  # untyped where absent
    """Takes what a text bundle takes, and adds up a row of weights for each word kept."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Embedding(8, 2)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        kept = (attention_mask - token_type_ids).unsqueeze(-1).float()
        return (self.weights(input_ids) * kept).sum(1)


class TextClassifier(torch.nn.Module):  # type: ignore[misc]  # as above
    """Embedding, one layer of attention over what the mask keeps, and a linear head."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(WORDS, width)
        self.query, self.key, self.value = (torch.nn.Linear(width, width) for _ in range(3))
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(width, CLASSES)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        x = self.words(input_ids)
        scores = self.query(x) @ self.key(x).transpose(1, 2) / x.shape[-1] ** 0.5
        scores = scores + (1.0 - attention_mask[:, None, :].float()) * -1e4
        mixed = torch.softmax(scores, dim=-1) @ self.value(x)
        return self.head(self.drop(mixed.mean(1)))


class ConvNet(torch.nn.Module):  # type: ignore[misc]  # as above
    """Two convolutions with a norm between, and a linear head, for images of 16 by 16."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 3, stride=2, padding=1),
            torch.nn.ReLU(),
        )
        self.head = torch.nn.Linear(16, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


def seeded(kind: type[torch.nn.Module], seed: int = 0) -> torch.nn.Module:
    """Make a module whose weights the seed decides, ready to answer."""
    torch.manual_seed(seed)
    return kind().eval()


def torch_of(inputs: Tensors) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in inputs.items()}


def texts(count: int, length: int = LENGTH) -> list[Tensors]:
    """Make sentences of one length, the end of each masked."""
    rng = np.random.default_rng(5)
    found: list[Tensors] = []
    for _ in range(count):
        mask = (np.arange(length) < rng.integers(3, length + 1)).astype(np.int64)[None]
        found.append(
            {"input_ids": rng.integers(1, WORDS, (1, length)) * mask, "attention_mask": mask}
        )
    return found


def images(count: int) -> list[Tensors]:
    rng = np.random.default_rng(6)
    return [{"image": rng.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(count)]
