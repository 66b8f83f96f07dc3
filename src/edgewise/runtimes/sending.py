"""Inputs become what JSON can hold, checked as a local model checks them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise.records import Input


def text_of(one: Input) -> str:
    """Give an input's text.

    Raises
    ------
    ValueError
        With the reason, when there is none or it can't be sent.
    """
    text = one.get("text")
    if text is None:
        raise ValueError("the input has no `text`")
    if not isinstance(text, str):
        raise ValueError(f"`text` is a {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("`text` holds half of a surrogate pair") from None
    return text


def pixels_of(one: Input) -> NDArray[Any]:
    """Give an input's image as an array of finite numbers.

    Raises
    ------
    ValueError
        With the reason, when there is none or it can't be sent.
    """
    if "image" not in one:
        raise ValueError("the input has no `image`")
    try:
        pixels = np.asarray(one["image"])
    except (ValueError, TypeError):
        raise ValueError("`image` is a list of unequal rows") from None
    if pixels.dtype.kind not in "uif":
        raise ValueError("`image` is no array of numbers: only numbers can be sent")
    if not np.isfinite(pixels).all():
        raise ValueError("`image` holds values that are not finite")
    return pixels
