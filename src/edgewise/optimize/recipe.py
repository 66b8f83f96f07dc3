"""A recipe: passes by name in an order that works, each a word such as `prune-ffn:0.25`.

Words in a recipe change what comes after them: pruning looks for standard operators and must come
before fusing, balancing must come before the numbers are made small. `in_order` knows that, `run`
carries a recipe out. Pure: a draft goes in, another comes out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgewise import extras
from edgewise.errors import InvalidModel, UsageError
from edgewise.optimize.graphs.changes import (
    has_more_in_few_bits,
    has_other_bytes,
    has_other_operators,
)
from edgewise.optimize.graphs.output_layer import output_layer
from edgewise.optimize.graphs.outputs import mean_cosine
from edgewise.optimize.graphs.ranges import Calibrator
from edgewise.optimize.passes import (
    first_products,
    fp16,
    fuse,
    int8_dynamic,
    int8_static,
    mixed,
    plain_sums,
    prune_channels,
    prune_ffn,
    prune_heads,
    prune_layers,
    prune_unstructured,
    prune_width,
    smooth,
    trim_vocabulary,
    weight_only,
)
from edgewise.optimize.student import STUDENT, make_student, parse_student
from edgewise.optimize.training import Lesson
from edgewise.runtimes.protocol import Tensors

if TYPE_CHECKING:
    import onnx

_MIXED_BUDGET = 6
_NONE_TO_QUANTIZE = "no product or table with a stored weight to quantize but what stays in float"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A model on its way through a recipe, with all that must fit it."""

    model: "onnx.ModelProto"
    samples: tuple[Tensors, ...] = ()
    """Sample inputs as the task encodes them."""
    tokenizer: str | None = None
    """The text of `tokenizer.json`."""
    texts: tuple[str, ...] = ()
    """Of the domain; what a trimmed vocabulary keeps."""
    reduce_range: bool = False
    """Weights in 7 bits, for a CPU without VNNI."""
    lesson: Lesson | None = None
    """What words that train learn from."""


Apply = Callable[[Draft, str], Draft]
"""Does a pass to a draft, with the argument of its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One pass as a recipe names it."""

    name: str
    default: str
    """The argument where a word has none; empty for a pass that takes none."""
    makes_another: bool
    """Whether the result is another model than its source, or the same one in fewer bits."""
    apply: Apply
    trains: bool = False
    """Whether it needs torch, and a draft with a lesson."""


def parse(text: str) -> tuple[str, ...]:
    """Read a recipe such as `prune-ffn:0.25,int8-dynamic`; `float32` alone is the empty one.

    Raises
    ------
    UsageError
        When a word names no pass; the nearest is suggested.
    """
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if tool_of(word).name == STUDENT:
            parse_student(word.partition(":")[2] or _STUDENT)
    return tuple(word for word in words if word != FLOAT)


def tool_of(word: str) -> Tool:
    """Give the pass that a word names.

    Raises
    ------
    UsageError
        When there is none.
    """
    name, _, argument = word.partition(":")
    found = _BY_NAME.get(name)
    if found is None or (argument and not found.default):
        import difflib  # noqa: PLC0415 - only for the message

        near = difflib.get_close_matches(name, _BY_NAME, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"one of: {', '.join(_BY_NAME)}"
        what = f"no pass is called `{name}`" if found is None else f"`{name}` takes no argument"
        raise UsageError(what, where="recipe", hint=hint)
    return found


def in_order(words: Sequence[str]) -> tuple[str, ...]:
    """Give the words in the order that works: what makes another model first, bits last."""
    return tuple(sorted(words, key=lambda word: _RANK[tool_of(word).name]))


def split(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part a recipe into what makes another model and what makes the same one smaller."""
    ordered = in_order(words)
    first = tuple(word for word in ordered if tool_of(word).makes_another)
    return first, tuple(word for word in ordered if word not in first)


def trains(words: Sequence[str]) -> bool:
    """Say whether a recipe trains, which needs the extra `torch`."""
    return any(tool_of(word).trains for word in words)


def check_extras(words: Sequence[str]) -> None:
    """Refuse a recipe that trains where torch is not installed.

    Raises
    ------
    MissingExtra
        With the extra's name.
    """
    if trains(words):
        with extras.needed("torch"):
            import torch  # noqa: F401, PLC0415 - said before any work


def run(draft: Draft, words: Sequence[str]) -> Draft:
    """Carry a recipe out, in the order that works.

    Raises
    ------
    InvalidModel
        When a pass finds nothing to do on this model, or breaks it; its word is named.
    UsageError
        When a word or its argument is wrong.
    """
    for word in in_order(words):
        tool = tool_of(word)
        argument = word.partition(":")[2] or tool.default
        try:
            draft = tool.apply(draft, argument)
        except InvalidModel as unfit:
            what = f"`{word}`: {unfit.what}"
            raise InvalidModel(what, where=unfit.where, hint=unfit.hint) from unfit
    return draft


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError as wrong:
        raise UsageError(f"not a number: `{text}`", where="recipe", hint="like 0.25") from wrong


def _whole(text: str) -> int:
    if not text.isdecimal():
        what = f"not a whole number: `{text}`"
        raise UsageError(what, where="recipe", hint="like 32")
    return int(text)


def _nothing(what: str) -> InvalidModel:
    return InvalidModel(what, where="recipe", hint="leave it out for this model")


def _in_few_bits(apply: Apply) -> Apply:
    """Refuse the outcome where no number became smaller, whatever stays in float and why."""

    def checked(draft: Draft, argument: str) -> Draft:
        made = apply(draft, argument)
        if not has_more_in_few_bits(draft.model, made.model):
            raise _nothing(_NONE_TO_QUANTIZE)
        return made

    return checked


def _trim(draft: Draft, _: str) -> Draft:
    if draft.tokenizer is None or not draft.texts:
        raise _nothing("no tokenizer.json and texts to trim the vocabulary to")
    made = trim_vocabulary.trim_vocabulary(draft.model, draft.tokenizer, draft.texts)
    if len(made.kept_ids) == made.tokens_before:
        raise _nothing(f"the texts and fallbacks need all of its {made.tokens_before} tokens")
    new_ids = np.zeros(max(made.kept_ids) + 1, dtype=np.int64)
    new_ids[list(made.kept_ids)] = np.arange(len(made.kept_ids))
    samples = tuple({**one, "input_ids": new_ids[one["input_ids"]]} for one in draft.samples)
    # A lesson's ids are those of the whole vocabulary.
    return replace(
        draft, model=made.model, tokenizer=made.tokenizer_json, samples=samples, lesson=None
    )


def _prune_unstructured(draft: Draft, share: str) -> Draft:
    made = prune_unstructured.prune_unstructured(draft.model, _share(share))[0]
    if _share(share) > 0 and not has_other_bytes(draft.model, made):
        raise _nothing(f"that share of its weights is zero already: {share}")
    return replace(draft, model=made)


def _fuse(draft: Draft, kind: str) -> Draft:
    if kind not in ("onnxruntime", "any"):
        raise UsageError(f"no such fusion: `{kind}`", where="recipe", hint="onnxruntime or any")
    made = fuse.fuse(draft.model, for_onnxruntime=kind == "onnxruntime")
    if not has_other_operators(draft.model, made):
        raise _nothing("no constants to fold and no operators to fuse")
    return replace(draft, model=made)


def _smooth(draft: Draft, strength: str) -> Draft:
    skip = output_layer(draft.model)
    made = smooth.smooth(draft.model, draft.samples, strength=_share(strength), skip=skip)
    return replace(draft, model=made)


def _with_plain_sums(model: "onnx.ModelProto") -> "onnx.ModelProto":
    try:
        return plain_sums.keep_sums_apart(model)
    except InvalidModel:  # there is no such pair, and nothing to keep apart
        return model


def _quantize(
    model: "onnx.ModelProto", kept: tuple[str, ...], *, reduce_range: bool
) -> "onnx.ModelProto":
    plain = _with_plain_sums(model)
    keep_float = tuple(dict.fromkeys((*kept, *output_layer(model))))
    return int8_dynamic.quantize(plain, reduce_range=reduce_range, keep_float=keep_float)


@_in_few_bits
def _int8_dynamic(draft: Draft, _: str) -> Draft:
    # Looked for first: the quantizer takes 16-bit weights too, and what it makes can't run.
    if not set(mixed.quantizable(draft.model)) - set(output_layer(draft.model)):
        raise _nothing(_NONE_TO_QUANTIZE)
    made = _quantize(draft.model, (), reduce_range=draft.reduce_range)
    return replace(draft, model=made)


@_in_few_bits
def _mixed(draft: Draft, wanted: str) -> Draft:
    found = mixed.choose_float(
        draft.model,
        lambda model, kept: _quantize(model, kept, reduce_range=draft.reduce_range),
        lambda model: mean_cosine(model, draft.model, draft.samples),
        budget=_MIXED_BUDGET,
        wanted=_share(wanted),
    )
    made = _quantize(draft.model, found.keep_float, reduce_range=draft.reduce_range)
    return replace(draft, model=made)


@_in_few_bits
def _int8_static(draft: Draft, calibrator: str) -> Draft:
    return _static(draft, calibrator, output_layer(draft.model))


@_in_few_bits
def _int8_static_whole(draft: Draft, calibrator: str) -> Draft:
    return _static(draft, calibrator, ())


def _static(draft: Draft, calibrator: str, keep_float: tuple[str, ...]) -> Draft:
    try:
        chosen = Calibrator(calibrator)
    except ValueError as unknown:
        hint = f"one of: {', '.join(Calibrator)}"
        what = f"no such range finder: `{calibrator}`"
        raise UsageError(what, where="recipe", hint=hint) from unknown
    made = int8_static.quantize_static(
        _with_plain_sums(draft.model),
        draft.samples,
        calibrator=chosen,
        keep_float=keep_float,
        reduce_range=draft.reduce_range,
    )
    return replace(draft, model=made)


@_in_few_bits
def _int8_static_after(draft: Draft, count: str) -> Draft:
    kept = first_products.first_products(draft.model, _whole(count))
    made = int8_static.quantize_static(
        _with_plain_sums(draft.model),
        draft.samples,
        keep_float=tuple(dict.fromkeys((*kept, *output_layer(draft.model)))),
        reduce_range=draft.reduce_range,
    )
    return replace(draft, model=made)


def _in_blocks(bits: int) -> Apply:
    @_in_few_bits
    def apply(draft: Draft, size: str) -> Draft:
        made = weight_only.quantize_weights(
            draft.model,
            bits=bits,
            block_size=_whole(size),
            keep_float=output_layer(draft.model),
        )
        return replace(draft, model=made)

    return apply


def _fp16(draft: Draft, _: str) -> Draft:
    return replace(draft, model=fp16.convert_fp16(draft.model, draft.samples))


def _pruned(
    prune: Callable[["onnx.ModelProto", float, Sequence[Tensors]], "onnx.ModelProto"],
) -> Apply:
    def apply(draft: Draft, share: str) -> Draft:
        made = prune(draft.model, _share(share), draft.samples)
        if _share(share) > 0 and not has_other_bytes(draft.model, made):
            raise _nothing(f"a share of {share} takes none: it is rounded down in every group")
        return replace(draft, model=made)

    return apply


def _distill(draft: Draft, argument: str) -> Draft:
    shape = parse_student(argument)
    made = make_student(draft.model, shape, draft.samples)
    teacher = draft.lesson.teacher if draft.lesson is not None else None
    lesson = None if draft.lesson is None else replace(draft.lesson, teacher=teacher or draft.model)
    draft = replace(draft, model=made, lesson=lesson)
    return _taught(draft, STUDENT, shape.epochs, with_tables=shape.width is not None)


def _recover(draft: Draft, epochs: str) -> Draft:
    return _taught(draft, RECOVER, _count(epochs))


def _tune(draft: Draft, epochs: str) -> Draft:
    return _taught(draft, TUNE, _count(epochs))


def _taught(draft: Draft, name: str, epochs: int, *, with_tables: bool = False) -> Draft:
    if draft.lesson is None:
        what = "there is nothing to learn from"
        raise InvalidModel(what, where="recipe", hint="give examples, and torch's extra")
    with extras.needed("torch"):
        from edgewise.optimize.training import graph_training  # noqa: PLC0415 - optional

    course = graph_training.Course(
        name=name,
        learning_rate=_RATES[name],
        epochs=epochs,
        in_8_bits=name == TUNE,
        reduce_range=draft.reduce_range,
        with_tables=with_tables,
    )
    return replace(draft, model=graph_training.train_graph(draft.model, draft.lesson, course))


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        what = f"not a number of times over the data: `{text}`"
        raise UsageError(what, where="recipe", hint="give 1 or more")
    return int(text)


FLOAT = "float32"
STATIC_WHOLE = f"{int8_static.NAME}-whole"
"""The output layer in INT8 too: for a convolution net, whose pooled features are even."""
RECOVER, TUNE = "recover", "qat"
_STUDENT, _EPOCHS = "2", "3"
_RATES = {STUDENT: 2e-4, RECOVER: 1e-4, TUNE: 1e-4}
"""At a width of 768; more where there is more to learn."""
TOOLS: tuple[Tool, ...] = (
    Tool(name=FLOAT, default="", makes_another=False, apply=lambda draft, _: draft),
    Tool(name=STUDENT, default=_STUDENT, makes_another=True, apply=_distill, trains=True),
    Tool(
        name=prune_layers.NAME,
        default="0.25",
        makes_another=True,
        apply=_pruned(prune_layers.prune_layers),
    ),
    Tool(
        name=prune_width.NAME,
        default="0.25",
        makes_another=True,
        apply=_pruned(prune_width.prune_width),
    ),
    Tool(
        name=prune_heads.NAME,
        default="0.25",
        makes_another=True,
        apply=_pruned(prune_heads.prune_heads),
    ),
    Tool(
        name=prune_ffn.NAME, default="0.25", makes_another=True, apply=_pruned(prune_ffn.prune_ffn)
    ),
    Tool(
        name=prune_channels.NAME,
        default="0.25",
        makes_another=True,
        apply=_pruned(prune_channels.prune_channels),
    ),
    Tool(
        name=prune_unstructured.NAME, default="0.5", makes_another=True, apply=_prune_unstructured
    ),
    Tool(name=RECOVER, default=_EPOCHS, makes_another=True, apply=_recover, trains=True),
    Tool(name=trim_vocabulary.NAME, default="", makes_another=True, apply=_trim),
    Tool(name=fuse.NAME, default="onnxruntime", makes_another=False, apply=_fuse),
    Tool(name=smooth.NAME, default="0.8", makes_another=False, apply=_smooth),
    Tool(name=TUNE, default=_EPOCHS, makes_another=False, apply=_tune, trains=True),
    Tool(name=int8_dynamic.NAME, default="", makes_another=False, apply=_int8_dynamic),
    Tool(name=int8_static.NAME, default="minmax", makes_another=False, apply=_int8_static),
    Tool(name=STATIC_WHOLE, default="minmax", makes_another=False, apply=_int8_static_whole),
    Tool(name=first_products.NAME, default="1", makes_another=False, apply=_int8_static_after),
    Tool(name=mixed.NAME, default="0.998", makes_another=False, apply=_mixed),
    Tool(name=weight_only.NAME_INT4, default="32", makes_another=False, apply=_in_blocks(4)),
    Tool(name=weight_only.NAME_INT8, default="32", makes_another=False, apply=_in_blocks(8)),
    Tool(name=fp16.NAME, default="", makes_another=False, apply=_fp16),
)
"""In the order that works."""
_BY_NAME = {tool.name: tool for tool in TOOLS}
_RANK = {tool.name: rank for rank, tool in enumerate(TOOLS)}
