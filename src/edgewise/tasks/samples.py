"""Inputs made up for a bundle, for those who measure it and have none: random words or pixels."""

from pathlib import Path

import numpy as np

from edgewise.errors import InvalidModel
from edgewise.records import BundleManifest, ImageInput, Input

_LENGTHS = (8, 16, 32, 64, 128, 256, 512, 1024)


def sample_inputs(
    manifest: BundleManifest, folder: Path, count: int, rng: np.random.Generator
) -> list[Input]:
    """Make inputs that cost what real ones of their length would; their meaning is none.

    Texts are whole words of the tokenizer's own vocabulary. Their lengths in tokens spread over
    the powers of two up to the longest that the bundle reads, as many in each, in mixed order.
    Images are random pixels of the size that the model sees.

    Raises
    ------
    InvalidModel
        When the tokenizer has no token to make text of, or the bundle does not say how images
        are read.
    """
    if manifest.task.takes_text:
        return _texts(manifest, folder, count, rng)
    if manifest.image is None:
        what = "the bundle does not say how images are read"
        hint = "set model.image: {height: …, width: …}"
        raise InvalidModel(what, where=str(folder), hint=hint)
    return [{"image": _pixels(manifest.image, rng)} for _ in range(count)]


def spread_lengths(longest: int, count: int, rng: np.random.Generator) -> list[int]:
    """Draw lengths of 1 to `longest`: as many from each power of two, evenly within it."""
    edges = [0, *(edge for edge in _LENGTHS if edge < longest), longest]
    lengths = [
        int(rng.integers(edges[i % (len(edges) - 1)], edges[i % (len(edges) - 1) + 1])) + 1
        for i in range(count)
    ]
    return [lengths[i] for i in rng.permutation(count)]


def _texts(
    manifest: BundleManifest, folder: Path, count: int, rng: np.random.Generator
) -> list[Input]:
    from edgewise.tasks.text import load_tokenizer, whole_words  # noqa: PLC0415 - heavy

    tokenizer = load_tokenizer(folder / manifest.tokenizer if manifest.tokenizer else folder)
    words = whole_words(tokenizer)
    if not words:
        where = str(folder / (manifest.tokenizer or "tokenizer.json"))
        hint = "give natural inputs instead"
        raise InvalidModel("its vocabulary holds no word to make text of", where=where, hint=hint)
    around = tokenizer.num_special_tokens_to_add(is_pair=False)
    return [
        {"text": " ".join(str(word) for word in rng.choice(words, max(1, length - around)))}
        for length in spread_lengths(manifest.max_length, count, rng)
    ]


def _pixels(image: ImageInput, rng: np.random.Generator) -> np.ndarray:
    shape = (image.height, image.width, image.channels)
    return rng.integers(0, 256, shape, dtype=np.uint8)
