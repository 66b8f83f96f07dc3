"""The one training loop: AdamW, a rate that rises and falls, clipped gradients, the best state.

A step's chance (dropout) is drawn from the seed and the step's number, so a run that goes on from
a checkpoint is the run that was never interrupted.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.sources.made import hash_tensors
from edgewise.optimize.training.batches import collate, in_order, order_epoch, split
from edgewise.optimize.training.checkpoint import (
    Figures,
    put_tensors,
    read_checkpoint,
    tensors_of,
    write_checkpoint,
)
from edgewise.optimize.training.objective import Objective
from edgewise.optimize.training.records import (
    Ending,
    Supervision,
    TrainingData,
    TrainingRecord,
    TrainingSettings,
)

with extras.needed("torch"):
    import torch
    from torch import nn

_ADAM = ("exp_avg", "exp_avg_sq", "step")
_EVALUATION_BATCH = 64


def train(
    module: nn.Module,
    data: TrainingData,
    objective: Objective,
    settings: TrainingSettings,
    supervision: Supervision,
) -> TrainingRecord:
    """Train a module in place; the callers hand in a copy.

    It ends in evaluation mode with the state that did best on the held-out part, the first one
    included, so training never makes that part worse. The random state and the number of threads
    of torch are put back.

    Raises
    ------
    InvalidModel
        When the loss is not finite.
    InvalidData
        When the labels don't fit the module, or the checkpoint is of another run.
    """
    with surroundings(settings.threads):
        return _Run(module, data, objective, settings, supervision).go()


@contextmanager
def surroundings(threads: int) -> Iterator[None]:
    """Take so many threads, and put them and the random state back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        torch.set_num_threads(before)


class _Run:
    def __init__(
        self,
        module: nn.Module,
        data: TrainingData,
        objective: Objective,
        settings: TrainingSettings,
        supervision: Supervision,
    ) -> None:
        self.module, self.data, self.objective = module, data, objective
        self.settings, self.supervision = settings, supervision
        self.chosen, self.held = split(len(data.inputs), settings.held_out_share, settings.seed)
        self.per_epoch = math.ceil(len(self.chosen) / settings.batch_size)
        most = self.per_epoch * settings.epochs
        wanted = most if settings.max_steps is None else settings.max_steps
        self.total = min(most, wanted)
        module.eval()
        torch.manual_seed(settings.seed)
        objective.prepare(module, data)
        self.trained = nn.ModuleDict({"module": module, "projections": objective.projections})
        parameters = [one for one in self.trained.parameters() if one.requires_grad]
        groups = [
            {
                "params": [p for p in parameters if p.ndim > 1],
                "weight_decay": settings.weight_decay,
            },
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.parameters = parameters
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
        self.figures = Figures(key="" if supervision.checkpoint is None else self._key())
        self.best: dict[str, Any] | None = None

    def go(self) -> TrainingRecord:
        started_s = self.supervision.clock()
        self._begin()
        spent_s, figures = self.figures.seconds_s, self.figures
        ending = Ending.EARLY if figures.is_early else Ending.DONE
        while figures.step < self.total and not figures.is_early:
            self._step()
            if self._is_look():
                self._look()
            figures.seconds_s = spent_s + self.supervision.clock() - started_s
            self.supervision.progress("training", figures.step, self.total)
            stopped = self.supervision.stop() and figures.step < self.total
            if stopped or figures.step % self.supervision.checkpoint_every == 0:
                self._write()
            ending = Ending.EARLY if figures.is_early else ending
            if stopped and not figures.is_early:
                ending = Ending.STOPPED
                break
        return self._finish(ending)

    def _begin(self) -> None:
        path = self.supervision.checkpoint
        if path is not None and path.is_file():
            self._read()
        elif len(self.held) and self.total:
            self.figures.before, self.figures.best_loss = self._evaluate()
            self.figures.best = self.figures.before
            self.best = tensors_of(self.trained)
        elif len(self.held):
            self.figures.before = self.figures.best = self._evaluate()[0]

    def _step(self) -> None:
        settings, figures = self.settings, self.figures
        epoch, place = divmod(figures.step, self.per_epoch)
        if place == 0 or not hasattr(self, "order"):
            draw = np.random.default_rng((settings.seed, 1, epoch))
            self.order = order_epoch(self.data, self.chosen, settings.batch_size, draw)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate_share(
                figures.step, self.total, settings.warmup_share
            )
        self.trained.train()
        torch.manual_seed(
            int(np.random.default_rng((settings.seed, 2, figures.step)).integers(2**62))
        )
        loss = self.objective.loss(self.module, collate(self.data, self.order[place]))
        value = float(loss.detach())
        if not math.isfinite(value):
            what = f"the loss is {value} at step {figures.step}"
            hint = "lower the learning rate, or check the inputs for values that are not finite"
            raise InvalidModel(what, where="training", hint=hint)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm)
        self.optimizer.step()
        figures.step += 1
        figures.loss_sum += value
        figures.loss_count += 1

    def _is_look(self) -> bool:
        every = self.settings.evaluate_every or self.per_epoch
        return self.figures.step % every == 0 or self.figures.step == self.total

    def _look(self) -> None:
        figures = self.figures
        figures.losses.append(figures.loss_sum / figures.loss_count)
        figures.loss_sum, figures.loss_count = 0.0, 0
        if not len(self.held):
            figures.best_step = figures.step
            return
        metric, loss = self._evaluate()
        assert figures.best is not None
        # The loss parts states whose metric is the same, or alone where the metric is coarse.
        by_loss = loss < figures.best_loss
        by_metric = (metric, -loss) > (figures.best, -figures.best_loss)
        if by_loss if self.objective.ranks_by_loss else by_metric:
            figures.best, figures.best_loss, figures.best_step = metric, loss, figures.step
            figures.looks_without = 0
            self.best = tensors_of(self.trained)
            return
        figures.looks_without += 1
        figures.is_early = figures.looks_without >= self.settings.patience

    def _evaluate(self) -> tuple[float, float]:
        """Give the metric and the loss on the held-out part."""
        self.trained.eval()
        right, total = 0.0, 0.0
        with torch.no_grad():
            for indices in in_order(self.data, self.held, _EVALUATION_BATCH):
                batch = collate(self.data, indices)
                right += self.objective.count_right(self.module, batch)
                total += float(self.objective.loss(self.module, batch)) * len(indices)
        return right / len(self.held), total / len(self.held)

    def _finish(self, ending: Ending) -> TrainingRecord:
        figures = self.figures
        if self.best is not None and ending is not Ending.STOPPED:
            put_tensors(self.trained, self.best)
        self.trained.eval()
        return TrainingRecord(
            steps=figures.step,
            seconds_s=figures.seconds_s,
            losses=tuple(figures.losses),
            metric=self.objective.metric,
            before=figures.before,
            after=figures.best,
            best_step=figures.step if self.best is None else figures.best_step,
            held_out=len(self.held),
            ending=ending,
        )

    def _write(self) -> None:
        if self.supervision.checkpoint is None:
            return
        moments = {
            f"{index}.{name}": self.optimizer.state[one][name].clone()
            for index, one in enumerate(self.parameters)
            if one in self.optimizer.state
            for name in _ADAM
        }
        parts = {"state": tensors_of(self.trained), "adam": moments, "best": self.best or {}}
        write_checkpoint(self.supervision.checkpoint, parts, self.figures)

    def _read(self) -> None:
        assert self.supervision.checkpoint is not None
        parts, self.figures = read_checkpoint(self.supervision.checkpoint, self.figures.key)
        put_tensors(self.trained, parts["state"])
        self.best = parts.get("best")
        moments = parts.get("adam", {})
        for index, one in enumerate(self.parameters):
            if f"{index}.step" in moments:
                self.optimizer.state[one] = {
                    name: moments[f"{index}.{name}"].clone() for name in _ADAM
                }

    def _key(self) -> str:
        """Give what must be the same for a checkpoint to go on from."""
        start = (hash_tensors(self.trained), self.objective.key())
        whole = hashlib.sha256(repr((self.settings, start, self.data.labels)).encode())
        for one in self.data.inputs:
            for name in sorted(one):
                whole.update(np.ascontiguousarray(one[name]).tobytes())
        return whole.hexdigest()


def rate_share(step: int, total: int, warmup_share: float) -> float:
    """Give the share of the learning rate at a step: up over the warm-up, then down to 0."""
    warmup = math.ceil(total * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    return (total - step) / max(total - warmup, 1)
