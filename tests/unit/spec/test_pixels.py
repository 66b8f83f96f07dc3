"""Image options as words."""

import pytest

from edgewise.errors import UsageError
from edgewise.spec import PixelWords, parse_pixels


def test_nothing_said_is_nothing() -> None:
    assert parse_pixels() == PixelWords(shape=(), mean=(), std=())


def test_shape_and_numbers_are_read() -> None:
    found = parse_pixels("3x224x160", "0.5", "0.1, 0.2,0.3")

    assert found == PixelWords(shape=(3, 224, 160), mean=(0.5,), std=(0.1, 0.2, 0.3))


def test_channels_may_come_last() -> None:
    assert parse_pixels("28X28X1").shape == (28, 28, 1)


@pytest.mark.parametrize("shape", ["224x224", "4x8x8", "3xax8", "3x0x8", "3x8x8x8", "x"])
def test_what_is_no_shape_of_an_image_is_refused(shape: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pixels(shape)

    assert caught.value.what == f"not the shape of an image of 1 or 3 channels: `{shape}`"
    assert caught.value.where == "--image-shape"
    assert caught.value.hint == "like 3x224x224 or 224x224x3"


@pytest.mark.parametrize(
    ("mean", "std", "what", "where"),
    [
        ("a", "", "not a number: `a`", "--image-mean"),
        ("0.5,,0.5", "", "not a number: ``", "--image-mean"),
        ("nan", "", "it is nan", "--image-mean"),
        ("", "1,0", "it is 0", "--image-std"),
        ("", "-1", "it is -1", "--image-std"),
    ],
)
def test_what_is_no_usable_number_is_refused(mean: str, std: str, what: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pixels("", mean, std)

    assert (caught.value.what, caught.value.where) == (what, where)
    assert caught.value.hint
