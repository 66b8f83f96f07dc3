"""What training takes and gives, without torch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from edgewise.errors import InvalidData, UsageError
from edgewise.records import Progress, silent
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Examples to train on. Made by the caller, read by the loop.

    Parameters
    ----------
    inputs
        One example each, as the task encodes it: a batch of one, at its natural length.
    labels : in 0..classes-1
        As many as there are inputs; `None` where a teacher says what is right.
    pad_id
        What shorter rows of `input_ids` are filled with; every other input is filled with 0.
    """

    inputs: Sequence[Tensors]
    labels: Sequence[int] | None = None
    pad_id: int = 0

    def __post_init__(self) -> None:
        if not self.inputs:
            raise InvalidData("there are no examples", where="inputs", hint="give at least one")
        if self.labels is not None and len(self.labels) != len(self.inputs):
            what = f"there are {len(self.inputs)} inputs and {len(self.labels)} labels"
            raise InvalidData(what, where="labels", hint="give one label an input")
        names = set(self.inputs[0])
        for index, one in enumerate(self.inputs):
            if set(one) != names or any(value.shape[:1] != (1,) for value in one.values()):
                what = "an input lacks a tensor that the first one has, or is no batch of one"
                hint = "encode each example alone, with the same task"
                raise InvalidData(what, where=f"inputs[{index}]", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """How the loop trains. The defaults are those of a fine-tuned encoder.

    Parameters
    ----------
    max_steps
        Ends earlier than `epochs` would; 0 trains nothing.
    warmup_share
        Of the steps; the rate rises over them and falls to 0 over the rest.
    held_out_share
        Of the examples, kept from training: the best state on them is the one that comes out.
    evaluate_every
        Steps between two looks at the held-out part; `None` looks at each epoch's end.
    patience
        Looks without a better state, after which training ends.
    """

    epochs: int = 3
    max_steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    held_out_share: float = 0.1
    evaluate_every: int | None = None
    patience: int = 3
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        shares = 0.0 <= self.warmup_share < 1.0 and 0.0 <= self.held_out_share < 1.0
        every = 1 if self.evaluate_every is None else self.evaluate_every
        counts = (self.batch_size, self.patience, self.threads, every)
        rates = self.learning_rate > 0.0 and self.weight_decay >= 0.0 and self.clip_norm > 0.0
        steps = self.epochs >= 0 and (self.max_steps is None or self.max_steps >= 0)
        if not (shares and rates and steps and min(counts) >= 1):
            hint = "shares in [0, 1), counts from 1, rates above 0"
            raise UsageError("a setting is out of range", where="TrainingSettings", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """What each part counts in the loss; 0 leaves it out.

    Parameters
    ----------
    labels
        Cross-entropy with the labels; ignored where there are none.
    logits
        Divergence from the teacher's answers at `temperature` (Hinton et al. 2015).
    hidden
        Squared distance of hidden states behind a learned projection (Jiao et al. 2020, TinyBERT).
    attention
        Divergence of attention (Sun et al. 2020, MobileBERT); heads are averaged where the two
        models have different numbers of them.
    """

    labels: float = 0.0
    logits: float = 1.0
    hidden: float = 0.0
    attention: float = 0.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        each = (self.labels, self.logits, self.hidden, self.attention)
        if min(each) < 0.0 or max(each) == 0.0 or self.temperature <= 0.0:
            what = f"the weights are {each} and the temperature is {self.temperature}"
            raise UsageError(what, where="LossWeights", hint="give one above 0 and none below")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentShape:
    """A student to make from a teacher's configuration; `None` takes the teacher's own size.

    With width, heads and ffn as the teacher has them the student is a truncated copy.
    """

    depth: int
    width: int | None = None
    heads: int | None = None
    ffn: int | None = None

    def __post_init__(self) -> None:
        sizes = [one for one in (self.depth, self.width, self.heads, self.ffn) if one is not None]
        if min(sizes) < 1:
            raise UsageError("a size is below 1", where="StudentShape", hint="give sizes from 1")


def never() -> bool:
    """Say that training goes on."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How a run is watched and kept. Made by the caller.

    Parameters
    ----------
    checkpoint
        A safetensors file: written each `checkpoint_every` steps and at a stop, read at the start
        where it is there, removed by nobody. The run continues as if it had not been interrupted.
    stop
        Asked after each step; true ends the run there.
    clock
        Seconds that never go back.
    """

    checkpoint: Path | None = None
    checkpoint_every: int = 200
    progress: Progress = silent
    stop: Callable[[], bool] = never
    clock: Callable[[], float] = time.monotonic


class Ending(StrEnum):
    """Why training ended."""

    DONE = "done"
    EARLY = "early"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """What a run of training did. Made by the loop.

    Parameters
    ----------
    seconds_s
        Of all parts of an interrupted run.
    losses
        The mean training loss between two looks at the held-out part.
    metric
        `accuracy` on labels, or `agreement` with the teacher.
    before, after
        The metric on the held-out part; `None` where nothing was held out.
    best_step
        The step whose state came out.
    """

    steps: int
    seconds_s: float
    losses: tuple[float, ...]
    metric: str
    before: float | None
    after: float | None
    best_step: int
    held_out: int
    ending: Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a graph is trained on within a recipe. Made by the composer of the recipe.

    Parameters
    ----------
    inputs
        One example each, as the task encodes it.
    labels
        `None` where the teacher alone says what is right.
    teacher
        The source; `None` where the graph that is trained is its own teacher.
    embeds
        Whether the output is to be as the teacher's, number by number: an embedding, or anything
        else that is no logits.
    folder
        Where checkpoints and trained weights are kept, by content; `None` keeps nothing.
    minutes
        About how long one training may take; fewer steps are made where more would take longer.
    """

    inputs: Sequence[Tensors]
    labels: Sequence[int] | None = None
    teacher: "onnx.ModelProto | None" = None
    embeds: bool = False
    folder: Path | None = None
    minutes: float = 10.0
    threads: int = 1
    seed: int = 0
    progress: Progress = silent
