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
            hint = "set model.image: {height: …, width: …}"
            raise InvalidModel(
                "the bundle does not say how images are read", where=where, hint=hint
            )
        self.labels = labels
        self._image = image
        self._mean = np.asarray(image.mean[: image.channels], dtype=np.float32)
        self._std = np.asarray(image.std[: image.channels], dtype=np.float32)

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

    def _one(self, one: Input) -> NDArray[np.float32]:
        pixels = _read(one.get("image"), self._image)
        scaled = (pixels - self._mean) / self._std
        return np.ascontiguousarray(
            scaled.transpose(2, 0, 1) if self._image.channels_first else scaled
        )


def _read(value: Any, image: ImageInput) -> NDArray[np.float32]:
    if isinstance(value, str | Path) and str(value).endswith(".npy"):
        try:
            value = np.load(value, allow_pickle=False)
        except (OSError, ValueError) as broken:
            raise InvalidData(
                f"not an array: {broken}", where=str(value), hint="save it by numpy.save"
            ) from broken
    if isinstance(value, list):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return _fit(value, image)
    if not isinstance(value, str | Path | bytes):
        what = (
            "the input has no `image`" if value is None else f"`image` is a {type(value).__name__}"
        )
        raise InvalidData(
            what, where="input", hint="give a path, the file's bytes or an array (h, w, c)"
        )
    with extras.needed("image"):
        from PIL import Image  # noqa: PLC0415 - optional
    where = "input" if isinstance(value, bytes) else str(value)
    try:
        with Image.open(io.BytesIO(value) if isinstance(value, bytes) else value) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise InvalidData(
                    "the image is too large", where=where, hint="give at most 50 megapixels"
                )
            mode = "L" if image.channels == 1 else "RGB"
            sized = opened.convert(mode).resize(
                (image.width, image.height), Image.Resampling.BILINEAR
            )
    except OSError as broken:
        raise InvalidData(
            f"not an image: {broken}", where=where, hint="give a PNG or JPEG file"
        ) from broken
    return _fit(np.asarray(sized), image)


def _fit(pixels: NDArray[Any], image: ImageInput) -> NDArray[np.float32]:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    wanted = (image.height, image.width, image.channels)
    if pixels.shape != wanted:
        what = f"an array of shape {pixels.shape}, and the model takes {wanted}"
        raise InvalidData(what, where="input", hint="resize it, or give an image file")
    scale = 255.0 if pixels.dtype == np.uint8 else 1.0
    return pixels.astype(np.float32) / np.float32(scale)
