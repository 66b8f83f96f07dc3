"""Image classification: the door to Pillow, for files that are not `.npy`."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise import extras
from edgewise.errors import InvalidData, InvalidModel
from edgewise.records import ImageInput, Input, Prediction
from edgewise.tasks.softmax import predictions

_MAX_PIXELS = 50_000_000


class ImageClassification:
    """Pixels to a normalized tensor, logits to labels. Made by `open_task`."""

    def __init__(self, image: ImageInput | None, labels: tuple[str, ...], where: str) -> None:
        if image is None:
            what = "the bundle does not say how images are read"
            hint = "set model.image: {height: …, width: …}"
            raise InvalidModel(what, where=where, hint=hint)
        mean, std = image.mean[: image.channels], image.std[: image.channels]
        if not len(mean) == len(std) == image.channels or not all(std):
            what = f"mean {mean} and std {std} for {image.channels} channel(s)"
            hint = "give a mean and a std above 0 for each channel"
            raise InvalidModel(what, where=where, hint=hint)
        self.labels = labels
        self._image = image
        self._mean = np.asarray(mean, dtype=np.float32)
        self._std = np.asarray(std, dtype=np.float32)

    def encode(self, inputs: Sequence[Input]) -> dict[str, NDArray[np.generic]]:
        """Give `image` of shape (n, c, h, w), or (n, h, w, c) where channels come last."""
        batch = np.stack([self._one(one) for one in inputs])
        return {"image": batch}

    def decode(self, logits: NDArray[np.floating]) -> list[Prediction]:
        """Give a prediction a row."""
        return predictions(logits, self.labels)

    def length(self, one: Input) -> int:
        """Count the pixels that the model sees."""
        del one
        return self._image.height * self._image.width

    def read_ahead(self, one: Input) -> int:
        """Count pixels, as `length`: for that no image is read."""
        return self.length(one)

    def _one(self, one: Input) -> NDArray[np.float32]:
        pixels = _read(one.get("image"), self._image)
        scaled = (pixels - self._mean) / self._std
        return np.ascontiguousarray(
            scaled.transpose(2, 0, 1) if self._image.channels_first else scaled
        )


def _read(value: Any, image: ImageInput) -> NDArray[np.float32]:
    where = str(value) if isinstance(value, str | Path) else "input"
    if isinstance(value, str | Path) and where.endswith(".npy"):
        try:
            with Path(value).open("rb") as stream:
                value = np.lib.format.read_array(stream, allow_pickle=False)
        except (OSError, ValueError) as broken:
            what = f"not an array: {broken}"
            raise InvalidData(what, where=where, hint="save it by numpy.save") from broken
    if isinstance(value, list):
        try:
            value = np.asarray(value)
        except ValueError as ragged:
            what, hint = "`image` is a list of unequal rows", "give an array (h, w, c)"
            raise InvalidData(what, where=where, hint=hint) from ragged
    if isinstance(value, np.ndarray):
        return _fit(value, image, where)
    if not isinstance(value, str | Path | bytes):
        kind = type(value).__name__
        what = "the input has no `image`" if value is None else f"`image` is a {kind}"
        hint = "give a path, the file's bytes or an array (h, w, c)"
        raise InvalidData(what, where=where, hint=hint)
    return _fit(_open(value, image, where), image, where)


def _open(value: str | Path | bytes, image: ImageInput, where: str) -> NDArray[np.uint8]:
    with extras.needed("image"):
        from PIL import Image  # noqa: PLC0415 - optional
    hint = "give a PNG or JPEG file"
    bomb = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(value) if isinstance(value, bytes) else value) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise Image.DecompressionBombError
            mode = "L" if image.channels == 1 else "RGB"
            size = (image.width, image.height)
            found: Image.Image = opened
            # Pillow takes the low byte of grey in 16 bits for all of it, and 255 for what is more.
            if opened.mode.startswith("I;16") or (opened.mode, opened.format) == ("I", "PNG"):
                found = Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8))
            return np.asarray(found.convert(mode).resize(size, Image.Resampling.BILINEAR))
    except bomb as large:
        what, hint = "the image is too large", "give at most 50 megapixels"
        raise InvalidData(what, where=where, hint=hint) from large
    except (OSError, SyntaxError, ValueError) as broken:
        raise InvalidData(f"not an image: {broken}", where=where, hint=hint) from broken


def _fit(pixels: NDArray[Any], image: ImageInput, where: str) -> NDArray[np.float32]:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    wanted = (image.height, image.width, image.channels)
    if pixels.shape != wanted:
        what = f"an array of shape {pixels.shape}, and the model takes {wanted}"
        raise InvalidData(what, where=where, hint="resize it, or give an image file")
    if pixels.dtype.kind not in "uif":
        what = f"an array of {pixels.dtype}"
        raise InvalidData(what, where=where, hint="give uint8, or floats from 0 to 1")
    scale = 1.0 if pixels.dtype.kind == "f" else 255.0
    scaled = pixels.astype(np.float32) / np.float32(scale)
    if not (scaled.min() >= 0.0 and scaled.max() <= 1.0):
        what = f"values outside 0 to {scale:.0f}, as {pixels.dtype} has them"
        raise InvalidData(what, where=where, hint="give uint8, or floats from 0 to 1")
    return scaled
