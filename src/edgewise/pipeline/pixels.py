"""How images become a source's input: as was said, as its files say, or as ImageNet's do."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewise.errors import InvalidModel, UsageError
from edgewise.records import ImageInput
from edgewise.runtimes import image_input_of
from edgewise.spec import PixelWords

_DEFAULT_SIDE, _DEFAULT_CHANNELS = 224, 3


def read_image_input(source: Path, said: PixelWords) -> ImageInput:
    """Say how images become a source's input.

    An ONNX file says its size; a Hugging Face directory says size and normalization in
    `config.json` and `preprocessor_config.json`. What was said stands before both.

    Raises
    ------
    InvalidModel
        When the source does not say its size and nobody said it, or its files can't be read.
    UsageError
        When there are not as many numbers as channels.
    """
    if said.shape:
        first = said.shape[0] in (1, 3)
        height, width = said.shape[1:] if first else said.shape[:2]
        channels = said.shape[0] if first else said.shape[2]
        found = ImageInput(height=height, width=width, channels=channels, channels_first=first)
        if source.is_dir():
            told = _of_folder(source)
            found = replace(found, mean=told.mean, std=told.std)
    elif source.is_dir():
        found = _of_folder(source)
    elif source.suffix == ".onnx":
        found = image_input_of(source)
    else:
        what = f"a `{source.suffix}` file does not say the size of its images"
        raise InvalidModel(what, where=str(source), hint="say it: --image-shape 3x224x224")
    return replace(
        found,
        mean=_by_channel(said.mean or found.mean, found.channels, "--image-mean"),
        std=_by_channel(said.std or found.std, found.channels, "--image-std"),
    )


def _by_channel(numbers: tuple[float, ...], channels: int, where: str) -> tuple[float, ...]:
    if len(numbers) == 1:
        return numbers * channels
    if len(numbers) == 3 and channels == 1:
        return numbers[:1]
    if len(numbers) != channels:
        what = f"{len(numbers)} numbers for {channels} channel(s)"
        raise UsageError(what, where=where, hint="give one, or one a channel")
    return numbers


def _of_folder(folder: Path) -> ImageInput:
    config, prepared = (
        _read(folder / name) for name in ("config.json", "preprocessor_config.json")
    )
    # The size that the model was made for; else what the images are cut or resized to.
    stated = [config.get("image_size"), prepared.get("crop_size"), prepared.get("size")]
    sizes = [size for one in stated if (size := _size(one)) is not None]
    height, width = sizes[0] if sizes else (_DEFAULT_SIDE, _DEFAULT_SIDE)
    channels = config.get("num_channels", _DEFAULT_CHANNELS)
    found = ImageInput(height=height, width=width, channels=channels)
    if not prepared.get("do_normalize", True):
        return replace(found, mean=(0.0,), std=(1.0,))
    mean, std = (prepared.get(f"image_{name}", getattr(found, name)) for name in ("mean", "std"))
    return replace(found, mean=tuple(map(float, mean)), std=tuple(map(float, std)))


def _size(value: Any) -> tuple[int, int] | None:
    if isinstance(value, Mapping):
        side = value.get("shortest_edge")
        value = [value.get("height", side), value.get("width", side)]
    if isinstance(value, int):
        value = [value, value]
    if isinstance(value, list) and len(value) == 2 and all(isinstance(x, int) for x in value):
        return value[0], value[1]
    return None


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        what = f"can't be read: {broken}"
        raise InvalidModel(what, where=str(path), hint="copy it again") from broken
    return found if isinstance(found, dict) else {}
