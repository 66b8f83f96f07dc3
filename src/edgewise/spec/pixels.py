"""How images become a model's input, as words of the command line: `1x28x28`, `0.5,0.5,0.5`."""

import math
from dataclasses import dataclass

from edgewise.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelWords:
    """What was said of a model's images. Made by `parse_pixels`, read by the composer."""

    shape: tuple[int, ...] = ()
    """Of one input without its batch; empty where nothing was said, as the others."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def parse_pixels(shape: str = "", mean: str = "", std: str = "") -> PixelWords:
    """Read the options of images.

    Raises
    ------
    UsageError
        When the shape is none of an image, or a number is not finite or a std not above 0.
    """
    return PixelWords(
        shape=_shape(shape),
        mean=_numbers(mean, "--image-mean"),
        std=_numbers(std, "--image-std", above_zero=True),
    )


def _shape(text: str) -> tuple[int, ...]:
    words = text.strip().lower().split("x") if text.strip() else []
    if not words:
        return ()
    sizes = [int(word) if word.isdecimal() else 0 for word in words]
    channels_at = [at for at in (0, 2) if len(sizes) == 3 and sizes[at] in (1, 3)]
    if min(sizes) < 1 or not channels_at:
        what = f"not the shape of an image of 1 or 3 channels: `{text}`"
        raise UsageError(what, where="--image-shape", hint="like 3x224x224 or 224x224x3")
    return tuple(sizes)


def _numbers(text: str, where: str, *, above_zero: bool = False) -> tuple[float, ...]:
    found = []
    for word in text.split(",") if text.strip() else []:
        try:
            number = float(word)
        except ValueError as wrong:
            hint = "like 0.5, or a number a channel: 0.485,0.456,0.406"
            raise UsageError(f"not a number: `{word}`", where=where, hint=hint) from wrong
        if not math.isfinite(number) or (above_zero and number <= 0):
            raise UsageError(f"it is {number:g}", where=where, hint="give numbers such as 0.5")
        found.append(number)
    return tuple(found)
