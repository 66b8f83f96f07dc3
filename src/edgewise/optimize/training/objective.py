"""The one loss of all training: labels, a teacher's answers, its hidden states, its attention."""

import copy
from typing import Any

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.sources.made import hash_tensors
from edgewise.optimize.training.batches import Batch, collate, in_order
from edgewise.optimize.training.outputs import Outputs, run
from edgewise.optimize.training.records import LossWeights, TrainingData

with extras.needed("torch"):
    import torch
    from torch import nn
    from torch.nn import functional

_TEACHER_BATCH = 32
_LEAST_SHARE = 1e-6
"""Of attention; below it a position counts as masked."""


class Objective:
    """A weighted sum of losses, and the metric on held-out examples. Made by the three trainers.

    Parameters
    ----------
    teacher
        Run without gradients; needed by every weight but that of the labels.
    has_labels
        Whether the metric is the accuracy on labels, or the agreement with the teacher.
    """

    def __init__(
        self, weights: LossWeights, *, teacher: nn.Module | None, has_labels: bool
    ) -> None:
        of_teacher = weights.logits + weights.hidden + weights.attention
        if teacher is None and not (has_labels and weights.labels):
            hint = "give labels and a weight for them, or a teacher"
            raise UsageError("there is nothing to learn from", where="Objective", hint=hint)
        if not has_labels and not of_teacher:
            hint = "give labels, or a weight to `logits`"
            raise UsageError("the loss is on labels, and there are none", where="data", hint=hint)
        self._weights, self._teacher = weights, teacher
        self._hidden = teacher is not None and weights.hidden > 0.0
        self._attention = teacher is not None and weights.attention > 0.0
        self.metric = "accuracy" if has_labels else "agreement"
        self.ranks_by_loss = False
        """Whether the best state is the one of the least loss, or of the best metric."""
        self._answers: Any = None
        self.projections = nn.ModuleList()
        """Of the student's hidden states to the teacher's width, a layer each; they are trained."""

    def key(self) -> str:
        """Give what it asks for: the kind, what each loss counts, and the teacher by its hash."""
        teacher = "" if self._teacher is None else hash_tensors(self._teacher)
        return repr((type(self).__name__, self._weights, teacher))

    def prepare(self, student: nn.Module, data: TrainingData) -> None:
        """Ask the teacher once about all examples, and make the projections that fit the student.

        The teacher's batches depend on the data alone, so its answers do too.
        """
        if self._teacher is None:
            return
        everything = np.arange(len(data.inputs))
        with torch.no_grad():
            for indices in in_order(data, everything, _TEACHER_BATCH):
                found = run(self._teacher, collate(data, indices).inputs).logits
                if self._answers is None:
                    self._answers = found.new_zeros((len(data.inputs), found.shape[1]))
                self._answers[torch.as_tensor(indices)] = found
            if self._hidden:
                self._project(student, collate(data, [0]))

    def _project(self, student: nn.Module, batch: Batch) -> None:
        near = run(student, batch.inputs, hidden=True).hidden
        far = run(self._teacher, batch.inputs, hidden=True).hidden
        for index, one in enumerate(near):
            target = far[matching_layer(index, len(near), len(far))]
            made = nn.Linear(one.shape[-1], target.shape[-1], bias=False)
            if made.in_features == made.out_features:
                # A truncated copy begins where the teacher is.
                nn.init.eye_(made.weight)
            self.projections.append(made)

    def loss(self, student: nn.Module, batch: Batch) -> Any:
        """Give the loss of a batch as a scalar with gradients."""
        weights = self._weights
        near = run(student, batch.inputs, hidden=self._hidden, attention=self._attention)
        total = near.logits.new_zeros(())
        if weights.labels and batch.labels is not None:
            _check_labels(batch.labels, near.logits)
            total = total + weights.labels * functional.cross_entropy(near.logits, batch.labels)
        if self._answers is not None and weights.logits:
            answers = self._answers[batch.indices]
            apart = logits_loss(near.logits, answers, weights.temperature)
            total = total + weights.logits * apart
        if not (self._hidden or self._attention):
            return total
        with torch.no_grad():
            far = run(self._teacher, batch.inputs, hidden=self._hidden, attention=self._attention)
        mask = batch.inputs.get("attention_mask")
        if self._hidden:
            total = total + weights.hidden * self._hidden_loss(near, far, mask)
        if self._attention:
            total = total + weights.attention * _attention_loss(near, far, mask)
        return total

    def count_right(self, student: nn.Module, batch: Batch) -> float:
        """Count the answers that are as the labels, or as the teacher, say."""
        answers = run(student, batch.inputs).logits.argmax(dim=1)
        truth = batch.labels
        if truth is None:
            assert self._answers is not None
            truth = self._answers[batch.indices].argmax(dim=1)
        return int((answers == truth).sum())

    def _hidden_loss(self, near: Outputs, far: Outputs, mask: Any) -> Any:
        losses = []
        for index, (one, project) in enumerate(zip(near.hidden, self.projections, strict=True)):
            target = far.hidden[matching_layer(index, len(near.hidden), len(far.hidden))]
            squared = (project(one) - target).pow(2).mean(dim=-1)
            losses.append(_mean_over(squared, mask))
        return torch.stack(losses).mean()


class NearEmbeddings(Objective):
    """A student's embeddings are to be the teacher's, in direction and length.

    Parameters
    ----------
    teacher
        Run without gradients.
    """

    def __init__(self, *, teacher: nn.Module) -> None:
        super().__init__(LossWeights(), teacher=teacher, has_labels=False)
        self.metric = "cosine"

    def loss(self, student: nn.Module, batch: Batch) -> Any:
        """Give the mean squared distance, as a share of the teacher's squared length."""
        answers = self._answers[batch.indices]
        apart = (run(student, batch.inputs).logits - answers).pow(2).sum(dim=1)
        return (apart / answers.pow(2).sum(dim=1).clamp_min(_LEAST_SHARE)).mean()

    def count_right(self, student: nn.Module, batch: Batch) -> float:
        """Add up the cosines."""
        answers = self._answers[batch.indices]
        found = functional.cosine_similarity(run(student, batch.inputs).logits, answers)
        return float(found.sum())


def objective_for(data: TrainingData, teacher: nn.Module | None) -> Objective:
    """Learn from labels, from a teacher, or from both alike, by what there is.

    Raises
    ------
    UsageError
        When there is neither.
    """
    labels = 0.0 if data.labels is None else 1.0
    weights = LossWeights(labels=labels, logits=1.0 if teacher is not None or not labels else 0.0)
    kept = copy.deepcopy(teacher).eval() if teacher is not None else None
    return Objective(weights, teacher=kept, has_labels=data.labels is not None)


def matching_layer(index: int, layers: int, teacher_layers: int) -> int:
    """Give the teacher's layer that a student's layer learns from: both ends meet at the end."""
    return round((index + 1) * teacher_layers / layers) - 1


def logits_loss(student: Any, teacher: Any, temperature: float) -> Any:
    """Give the divergence from the teacher's softened answers, scaled as Hinton et al. have it."""
    if student.shape != teacher.shape:
        what = f"the student gives {student.shape[1]} classes and the teacher {teacher.shape[1]}"
        raise InvalidModel(what, where="logits", hint="give both the same labels")
    near = functional.log_softmax(student / temperature, dim=1)
    far = functional.log_softmax(teacher / temperature, dim=1)
    found = functional.kl_div(near, far, reduction="batchmean", log_target=True)
    return found * temperature**2


def _attention_loss(near: Outputs, far: Outputs, mask: Any) -> Any:
    losses = []
    for index, one in enumerate(near.attention):
        target = far.attention[matching_layer(index, len(near.attention), len(far.attention))]
        ours = one
        if ours.shape[1] != target.shape[1]:
            ours, target = ours.mean(dim=1, keepdim=True), target.mean(dim=1, keepdim=True)
        least = _LEAST_SHARE
        gap = target.clamp_min(least).log() - ours.clamp_min(least).log()
        losses.append(_mean_over((target * gap).sum(dim=-1).mean(dim=1), mask))
    return torch.stack(losses).mean()


def _mean_over(values: Any, mask: Any) -> Any:
    """Average (n, s) over the positions whose mask is 1."""
    if mask is None or mask.shape != values.shape:
        return values.mean()
    weights = mask.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp_min(1.0)


def _check_labels(labels: Any, logits: Any) -> None:
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= logits.shape[1]:
        strange = least if least < 0 else most
        what = f"label {strange} is outside 0..{logits.shape[1] - 1}"
        raise InvalidData(what, where="labels", hint="number the labels as the model does")
