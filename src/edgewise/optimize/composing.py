"""Steps that follow each other on one model: the words of both, in an order that can work.

No step is done on top of another's numbers: the whole recipe is carried out again on the float
model, so what makes another model comes before what makes its numbers small, whatever the order of
the calls. Pure.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel
from edgewise.optimize.graphs.outputs import outputs_of
from edgewise.optimize.optimized import OptimizedModel
from edgewise.optimize.recipe import Draft, in_order, run, tool_of, trains
from edgewise.optimize.training import Lesson
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

NUMBERS = ("int8-dynamic", "int8-static", "mixed", "int4-weights", "int8-weights", "fp16")
"""Words that say in what numbers a model computes: it has one of them at a time."""
_OF_ALL = "prune-unstructured"


def combine(words: Sequence[str], word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the recipe that does what the words do and this one too, and what is to be said of it.

    Parameters
    ----------
    word
        With its argument where it takes one.

    Returns
    -------
    tuple of str
        The words in the order that works.
    tuple of str
        A sentence for each way in which that is not just one step more.
    """
    name, _, argument = word.partition(":")
    kept, notes = list(words), []
    for old in words:
        old_name, _, old_argument = old.partition(":")
        if name in NUMBERS and old_name in NUMBERS:
            kept.remove(old)
            if old != word:
                notes.append(
                    f"`{word}` takes the place of `{old}`: a model has one kind of numbers"
                )
        elif old_name == name and _takes_share(name) and argument:
            kept.remove(old)
            share, before = float(argument), float(old_argument or tool_of(name).default)
            both = max(share, before) if name == _OF_ALL else 1 - (1 - before) * (1 - share)
            word = f"{name}:{round(both, 6):g}"
            what = "the larger share" if name == _OF_ALL else f"{share:g} of what `{old}` left"
            notes.append(f"`{word}`: {what}, both counted from the float model")
        elif old_name == name:
            kept.remove(old)
    ordered = in_order([*kept, word])
    later = ordered[ordered.index(word) + 1 :]
    if later:
        after = ", ".join(f"`{one}`" for one in later)
        notes.append(
            f"`{word}` can't be done after {after}: it was done first, on the float model, "
            f"and {after} again after it"
        )
    return ordered, tuple(notes)


def _takes_share(name: str) -> bool:
    tool = tool_of(name)
    return tool.makes_another and not tool.trains


def derive(
    model: OptimizedModel,
    words: Sequence[str],
    samples: Sequence[Tensors],
    *,
    reduce_range: bool,
    minutes: float = 10.0,
) -> OptimizedModel:
    """Carry a recipe out on the float model that this one came from; mobile files are dropped.

    Parameters
    ----------
    minutes
        About what one training may take, where a word trains: on the samples, after the float
        model.

    Raises
    ------
    InvalidModel
        When a word finds nothing to do on this model, or what comes out is not finite on a sample.
    """
    with extras.needed("optimize"):
        import onnx  # noqa: PLC0415 - optional

    source = onnx.load_from_string(model.origin.model)
    lesson = None
    if samples and trains(words):
        # Nobody says what the outputs of a model in hand mean: they are to be as the source's.
        lesson = Lesson(inputs=samples, teacher=source, embeds=True, minutes=minutes)
    draft = Draft(model=source, samples=tuple(samples), reduce_range=reduce_range, lesson=lesson)
    made = run(draft, words).model
    check_finite(made, samples[:1], " + ".join(words))
    return replace(
        model,
        model=made.SerializeToString(),
        words=tuple(words),
        samples=tuple(samples),
        examples=(),
        mobile=(),
    )


def check_finite(model: "onnx.ModelProto", samples: Sequence[Tensors], name: str) -> None:
    """Refuse a model that answers with what is no number.

    Raises
    ------
    InvalidModel
        With the name.
    """
    for found in outputs_of(model, samples, model.graph.output[0].name) if samples else ():
        if not np.isfinite(found).all():
            what = "it gives NaN or infinite values on an example"
            hint = "check the model's weights, and leave the last step out"
            raise InvalidModel(what, where=name, hint=hint)
