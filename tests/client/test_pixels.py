"""Pixels of an image: what they are made from, and how they fit modes and formats (DAT-7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lineal.client.media.image import Image
from lineal.errors import Invalid


class Tensor:
    """What a torch tensor looks like from outside; torch is too heavy for a test."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return self.values


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (np.array([[0, 128, 255]], dtype="uint8"), [[0, 128, 255]]),
        (np.array([[0, 1, 1]], dtype="uint8"), [[0, 1, 1]]),
        (np.array([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
        (np.array([[0.0, 128.0, 255.0]]), [[0, 128, 255]]),
        (np.array([[False, True]]), [[0, 255]]),
        (np.array([[0, 1, 200]]), [[0, 1, 200]]),
        (np.array([[-1.0, 0.0, 1.0]]), [[0, 128, 255]]),
        (np.array([[-0.2, 0.6]]), [[102, 204]]),
        (np.array([[-0.2, 1.8]]), [[0, 255]]),
        (np.array([[0, 510]]), [[0, 255]]),
        (np.array([[float("nan"), float("inf"), 1.0]]), [[0, 0, 255]]),
        ([[0.0, 1.0]], [[0, 255]]),
    ],
)
def test_array_becomes_pixels(data: Any, pixels: list[list[int]]) -> None:
    assert Image(data).to_numpy().tolist() == pixels


def test_values_are_cut_off_without_normalize() -> None:
    data = np.array([[-5.0, 0.4, 300.0]])
    assert Image(data, normalize=False).to_numpy().tolist() == [[0, 0, 255]]


@pytest.mark.parametrize(
    ("shape", "mode"),
    [
        ((2, 3), "L"),
        ((2, 3, 1), "L"),
        ((2, 3, 2), "LA"),
        ((2, 3, 3), "RGB"),
        ((2, 3, 4), "RGBA"),
        ((1, 2, 3, 3), "RGB"),
    ],
)
def test_shape_decides_the_mode(shape: tuple[int, ...], mode: str) -> None:
    image = Image(np.zeros(shape, dtype="uint8"))
    assert (image.image.mode, image.width, image.height, image.format) == (mode, 3, 2, "png")


@pytest.mark.parametrize("shape", [(1, 20, 30), (1, 1, 20, 30), (20, 30, 1, 1), (1, 20, 30, 1)])
@pytest.mark.parametrize("made", [np.zeros, lambda shape: Tensor(np.zeros(shape))])
def test_dimensions_of_length_1_go(shape: tuple[int, ...], made: Callable[..., Any]) -> None:
    image = Image(made(shape))
    assert (image.image.mode, image.width, image.height) == ("L", 30, 20)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 5), (0, 3), (2, 2, 3, 3)])
def test_shape_that_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(Invalid, match="An image is an array of"):
        Image(np.zeros(shape))


@pytest.mark.parametrize("data", [object(), None, {"a": 1}, np.array([["a"]]), [[1], [1, 2]]])
def test_what_is_no_picture_is_refused(data: Any) -> None:
    with pytest.raises(Invalid, match="Image cannot be made from"):
        Image(data)


@pytest.mark.parametrize("mode", ["RGB", "I", "F"])
def test_a_picture_without_pixels_is_refused(mode: str) -> None:
    with pytest.raises(Invalid, match="0×0 has no pixels"):
        Image(PIL.Image.new(mode, (0, 0)))


def test_tensor_has_its_channels_first() -> None:
    values = np.zeros((3, 2, 4), dtype="uint8")
    values[0] = 9
    image = Image(Tensor(values))
    assert (image.width, image.height) == (4, 2)
    assert image.to_numpy()[0, 0].tolist() == [9, 0, 0]


def test_pil_image_keeps_its_pixels() -> None:
    palette = PIL.Image.new("RGB", (4, 4), (1, 2, 3)).quantize(4)
    assert Image(palette).to_numpy()[0, 0].tolist() == [1, 2, 3]


def test_mode_that_png_cannot_hold_is_converted() -> None:
    assert Image(PIL.Image.new("CMYK", (2, 2))).image.mode == "RGB"
    assert Image(np.zeros((2, 2, 4)), file_type="jpg").image.mode == "RGB"


@pytest.mark.parametrize(
    ("values", "type", "pixels"),
    [
        (np.array([[0, 300, 40_000]], "i4"), "png", [[0, 300, 40_000]]),
        (np.array([[0, 300, 40_000]], "u2"), "png", [[0, 300, 40_000]]),
        (np.array([[-1, 0, 1]], "i4"), "png", [[0, 128, 255]]),
        (np.array([[0, 0.5, 1]], "f4"), "png", [[0, 128, 255]]),
        (np.array([[0, 0.5, 1]], "f4"), "bmp", [[0, 128, 255]]),
    ],
)
def test_pil_image_of_more_than_8_bits_is_not_cut_off(
    values: Any, type: str, pixels: list[list[int]]
) -> None:
    image = Image(PIL.Image.fromarray(values), file_type=type)
    assert image.to_numpy().tolist() == pixels


def test_deep_pil_image_is_spread_over_what_a_mode_or_jpeg_holds() -> None:
    deep = PIL.Image.fromarray(np.array([[0, 30_000, 60_000]] * 8, "u2"))
    for image in (Image(deep, mode="L"), Image(deep, file_type="jpg")):
        dark, grey, light = image.to_numpy()[0].tolist()
        assert dark < 30 < 100 < grey < 150 < 225 < light


@pytest.mark.parametrize("file_type", ["png", "jpg", "bmp", "gif", "webp"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "PA"])
def test_every_format_takes_every_mode(mode: str, file_type: str) -> None:
    image = Image(PIL.Image.new(mode, (3, 2)), file_type=file_type)
    assert image.image.size == (3, 2)


@pytest.mark.parametrize("mode", ["XX", "rgb", 5])
def test_unknown_mode_is_named(mode: Any) -> None:
    with pytest.raises(Invalid, match=f"to mode {mode!r}"):
        Image(np.zeros((2, 2)), mode=mode)


@pytest.mark.parametrize("file_type", ["jpg", "gif", "webp"])
def test_image_too_large_for_its_format_is_refused(file_type: str) -> None:
    with pytest.raises(Invalid, match=f"2×70000 cannot be stored as {file_type}"):
        Image(np.zeros((70_000, 2), dtype="uint8"), file_type=file_type)


def test_damaged_file_is_named_when_it_is_decoded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype="uint8")
    PIL.Image.fromarray(noise).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:2000])
    with pytest.raises(Invalid, match=r"half\.png cannot be read as an image"):
        Image(tmp_path / "half.png").to_numpy()


def test_unknown_file_type_says_which_there_are() -> None:
    with pytest.raises(Invalid, match="use png, jpg"):
        Image(np.zeros((2, 2)), file_type="tga")
