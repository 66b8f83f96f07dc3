"""The steps of `ModelOptimizer`: each takes an opened model and gives another."""

import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, StrEnum
from pathlib import Path
from typing import TypeVar

from edgewise.errors import InvalidData, InvalidModel, UsageError
from edgewise.optimize.composing import combine, derive
from edgewise.optimize.graphs.channel_groups import find_groups
from edgewise.optimize.graphs.shares import check_share, count_of
from edgewise.optimize.graphs.wiring import Wiring
from edgewise.optimize.mobile import MobileArtifact, MobileFormat, export_mobile
from edgewise.optimize.optimized import MobileFile, OptimizedModel
from edgewise.runtimes.protocol import Tensors

_Kind = TypeVar("_Kind", bound=Enum)
_TENTATIVE = 1
"""Of zlib, which is near its best on weights at once."""
_NEED_MODULE = (MobileFormat.TFLITE, MobileFormat.TFLITE_INT8, MobileFormat.PTE)


class Quantization(StrEnum):
    """In what numbers a model is to compute."""

    DYNAMIC = "dynamic"
    STATIC = "static"
    INT4 = "int4"


class Structure(StrEnum):
    """What structured pruning removes whole."""

    FFN = "ffn"
    HEADS = "heads"
    CHANNELS = "channels"
    LAYERS = "layers"


_WORDS = {
    Quantization.DYNAMIC: "int8-dynamic",
    Quantization.STATIC: "int8-static",
    Quantization.INT4: "int4-weights",
}


def quantize(
    model: OptimizedModel,
    samples: Sequence[Tensors],
    quantization: Quantization | str,
    *,
    reduce_range: bool,
) -> OptimizedModel:
    """Give the model in other numbers.

    Raises
    ------
    UsageError
        When the kind is unknown.
    InvalidData
        When ranges are to be fixed and there are no samples.
    """
    kind = _one_of(Quantization, quantization, "quantization_type")
    if kind is Quantization.STATIC and not (samples or model.samples):
        what = "static ranges need examples, and there are none"
        hint = "give examples, or quantize `dynamic`"
        raise InvalidData(what, where="calibration_data", hint=hint)
    return take(model, [_WORDS[kind]], samples, reduce_range=reduce_range)


def prune_structures(
    model: OptimizedModel,
    amount: float,
    structures: Sequence[Structure | str],
    samples: Sequence[Tensors],
    *,
    reduce_range: bool,
) -> OptimizedModel:
    """Give the model without a share of its structures.

    Parameters
    ----------
    structures
        None given takes hidden neurons and convolution channels, whichever there are.

    Raises
    ------
    UsageError
        When the amount is outside [0, 1) or a structure unknown.
    InvalidModel
        When the model has no such structure.
    """
    _check_amount(amount)
    chosen = [_one_of(Structure, one, "structures") for one in structures] or find_structures(
        model, amount
    )
    words = [f"prune-{one}:{amount:g}" for one in chosen]
    return take(model, words, samples, reduce_range=reduce_range)


def prune_weights(
    model: OptimizedModel, amount: float, samples: Sequence[Tensors], *, reduce_range: bool
) -> OptimizedModel:
    """Give the model with a share of its single weights set to zero, and a note on what that buys.

    Raises
    ------
    UsageError
        When the amount is outside [0, 1).
    InvalidModel
        When the model has no float weights.
    """
    _check_amount(amount)
    word = f"prune-unstructured:{amount:g}"
    made = take(model, [word], samples, reduce_range=reduce_range)
    before, after = (len(zlib.compress(one, _TENTATIVE)) for one in (model.model, made.model))
    note = (
        f"`{word}` buys compressed size alone, no smaller file and no faster run: compressed "
        f"{1 - after / before:.0%} smaller than before the step"
    )
    return replace(made, notes=(*made.notes, note))


def find_structures(model: OptimizedModel, amount: float) -> list[Structure]:
    """Say of which of hidden neurons and channels a share can be removed.

    Where it is rounded down to none of either, both that there are.

    Raises
    ------
    InvalidModel
        When neither can.
    """
    groups = find_groups(Wiring(model.source()))
    some = [group for group in groups if count_of(amount, group.width)]
    found = {Structure.CHANNELS if one.has_conv else Structure.FFN for one in some or groups}
    if not found:
        what = "no hidden neurons or channels to remove found"
        hint = "prune a float model, not a quantized or fused one"
        raise InvalidModel(what, where=model.origin.name, hint=hint)
    return [one for one in Structure if one in found]


def take(
    model: OptimizedModel,
    words: Sequence[str],
    samples: Sequence[Tensors],
    *,
    reduce_range: bool,
    minutes: float = 10.0,
) -> OptimizedModel:
    """Add words to the model's recipe and carry the whole of it out; mobile files are made again.

    Parameters
    ----------
    minutes
        About what one training may take, where a word trains.

    Raises
    ------
    InvalidModel
        When a word finds nothing to do on this model.
    """
    recipe, notes = model.words, list(model.notes)
    for word in words:
        recipe, said = combine(recipe, word)
        notes += said
    seen = (*model.samples, *samples)
    found = derive(model, recipe, seen, reduce_range=reduce_range, minutes=minutes)
    made = replace(found, notes=tuple(notes))
    if not model.mobile:
        return made
    formats = [one.artifact.format for one in model.mobile if one.artifact.made]
    remade = make_mobile(made, model.examples, None, formats)
    return replace(remade, notes=(*remade.notes, "the mobile files were made again after it"))


def make_mobile(
    model: OptimizedModel,
    examples: Sequence[Tensors],
    out: Path | None,
    formats: Sequence[MobileFormat | str],
) -> OptimizedModel:
    """Give the model with its mobile files, each checked on the examples by its own runtime.

    Parameters
    ----------
    out
        Where the files go too; `None` keeps them in memory alone.
    """
    wanted = [_one_of(MobileFormat, one, "formats") for one in formats]
    with tempfile.TemporaryDirectory(prefix="edgewise-") as aside:
        folder = Path(aside) if out is None else out
        found: dict[MobileFormat, MobileArtifact] = {}
        plain = model.origin.module if not model.words else None
        by_module = [one for one in wanted if one in _NEED_MODULE and plain is not None]
        by_graph = [one for one in wanted if one not in by_module]
        for source, some in ((plain, by_module), (model.proto(), by_graph)):
            if some:
                made = export_mobile(source, examples, folder, formats=some)
                found |= {one.format: one for one in made}
        files = tuple(_file(found[one]) for one in wanted)
    notes = [
        f"`{one.artifact.format.value}` was not made: {one.artifact.why}"
        for one in files
        if not one.artifact.made
    ]
    if any(not one.artifact.made for one in files) and model.words and model.origin.module:
        notes.append(
            f"the torch module has not got {', '.join(f'`{one}`' for one in model.words)}: files "
            "made of it would undo that"
        )
    return replace(model, mobile=files, examples=tuple(examples), notes=(*model.notes, *notes))


def _file(artifact: MobileArtifact) -> MobileFile:
    if artifact.path is None:
        return MobileFile(artifact=artifact, content=b"")
    path = Path(artifact.path)
    return MobileFile(artifact=replace(artifact, path=path.name), content=path.read_bytes())


def _check_amount(amount: object) -> None:
    if not isinstance(amount, int | float):
        what = f"the share to prune is a `{type(amount).__name__}`"
        raise UsageError(what, where="pruning_amount", hint="give a number such as 0.4")
    check_share(amount)


def _one_of(kinds: type[_Kind], name: object, where: str) -> _Kind:
    try:
        return kinds(name)
    except ValueError as unknown:
        known = ", ".join(str(one.value) for one in kinds)
        what = f"there is no `{name}`"
        raise UsageError(what, where=where, hint=f"one of: {known}") from unknown
