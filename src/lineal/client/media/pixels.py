"""Pixels: what arrays, tensors, PIL images and files become. All of it needs NumPy and PIL.

Both are slow optional dependencies, imported where they are needed.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from lineal.client.media.arrays import as_numpy, is_tensor, numpy_for
from lineal.client.media.files import MediaFile, is_address
from lineal.client.media.types import needs_media_extra
from lineal.client.values import figure_of
from lineal.errors import Invalid, LinealError, MissingFile

FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "bmp": "BMP", "gif": "GIF", "webp": "WEBP"}
_STORABLE = {
    "PNG": {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"},
    "JPEG": {"L", "RGB"},
    "BMP": {"1", "L", "RGB", "RGBA"},  # of "P" Pillow 11 writes what it cannot read
    "GIF": {"1", "L", "LA", "P", "RGB", "RGBA"},
}
_WITH_ALPHA = {"LA", "PA", "RGBA", "La", "RGBa"}
_DEEP = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
"""Modes of more than 8 bits; Pillow itself would cut their values off at 255."""
_DEPTH_MAX = (1 << 16) - 1
"""The largest value that a PNG of one channel holds."""
_CHANNELS = (1, 2, 3, 4)


class Pixels(NamedTuple):
    """An encoded image; width and height in pixels, format as in the file's name."""

    file: MediaFile
    width: int | None
    height: int | None
    """None of an image at a URL, which was not looked at."""
    format: str


def _pil() -> Any:
    try:
        import PIL.Image  # slow optional dependency
    except ImportError as error:
        needs_media_extra("Image", "Pillow", error)
    return PIL.Image


def from_path(path: str | os.PathLike[str]) -> Pixels:
    """Look at an image file; its bytes stay where they are. Raises MissingFile or Invalid."""
    text = os.fspath(path)
    if is_address(text):
        suffix = os.path.splitext(urlsplit(text).path)[1].lower()
        return Pixels(MediaFile(suffix, uri=text), None, None, suffix[1:])
    if not os.path.isfile(text):
        raise MissingFile(f"No image file at {text}")
    with _opened(text, text) as image:
        format = (image.format or "").lower()
        width, height = image.size
    suffix = os.path.splitext(text)[1].lower() or f".{format}"
    return Pixels(MediaFile(suffix, local_path=os.path.abspath(text)), width, height, suffix[1:])


def as_now(pixels: Pixels) -> Pixels:
    """Look again at an image that is a user's file, which may have been written anew since.

    Raises Invalid if it is no image now. Of one that is gone, whoever opens it says so.
    """
    path = pixels.file.local_path
    return pixels if path is None or not os.path.exists(path) else from_path(path)


def from_data(data: Any, *, mode: str | None, file_type: str | None, normalize: bool) -> Pixels:
    """Encode an array, a tensor, a PIL image, or a figure or its axes; PNG unless told else."""
    if isinstance(data, _pil().Image):
        return encode(data, mode=mode, file_type=file_type, normalize=normalize)
    figure = figure_of(data)
    if figure is not None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        buffer.seek(0)
        with _opened(buffer, "the figure") as image:
            return encode(image, mode=mode, file_type=file_type)
    values = _with_channels_last(as_numpy(data, "Image"), are_first=is_tensor(data))
    image = _pil().fromarray(to_uint8(values, normalize=normalize))
    return encode(image, mode=mode, file_type=file_type)


def encode(
    image: Any, *, mode: str | None, file_type: str | None, normalize: bool = True
) -> Pixels:
    """Write a PIL image into memory; equal pixels give equal bytes.

    normalize: as of `to_uint8`, for images of more than 8 bits that the format cannot hold.
    Raises Invalid for a mode or format that there is not, and an image too large for its format.
    """
    suffix = str(file_type or "png").lower().removeprefix(".")
    format = FORMATS.get(suffix)
    if format is None:
        raise Invalid(f"Images cannot be stored as {file_type!r}; use {', '.join(FORMATS)}")
    if 0 in image.size:
        raise Invalid(f"An image of {image.width}×{image.height} has no pixels to store")
    if image.mode in _DEEP and mode != image.mode:
        image = _shallower(image, is_deep=format == "PNG" and mode is None, normalize=normalize)
    if mode is not None and mode != image.mode:
        image = _converted(image, mode)
    if image.mode not in _STORABLE.get(format, {image.mode}):
        keeps_alpha = image.mode in _WITH_ALPHA and format != "JPEG"
        image = _converted(image, "RGBA" if keeps_alpha else "RGB")
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=format)
    except (OSError, ValueError, OverflowError, struct.error) as error:
        raise Invalid(
            f"An image of {image.width}×{image.height} cannot be stored as {suffix}: {error}"
        ) from error
    file = MediaFile(f".{suffix}", data=buffer.getvalue())
    return Pixels(file, image.width, image.height, suffix)


def _converted(image: Any, mode: str) -> Any:
    try:
        return image.convert(mode)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"An image of mode {image.mode} cannot be converted to mode {mode!r}: {error}"
        ) from error


def _shallower(image: Any, *, is_deep: bool, normalize: bool) -> Any:
    """Return a grey image of 16 bits where that holds the values, else of 8."""
    values = numpy_for("Image").asarray(image)
    if is_deep and values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= _DEPTH_MAX:
        return _pil().fromarray(values.astype("uint16"))
    return _pil().fromarray(to_uint8(values, normalize=normalize))


def _with_channels_last(values: Any, *, are_first: bool) -> Any:
    """Return H×W or H×W×C; other dimensions of 1 go. Tensors of torch have channels first."""
    shape = values.shape
    if not _is_image(shape) and not (are_first and _is_image(shape[1:] + shape[:1])):
        values = values.squeeze()
    if are_first and values.ndim == 3 and values.shape[0] in _CHANNELS:
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if not _is_image(values.shape) or 0 in values.shape:
        raise Invalid(f"An image is an array of H×W, or H×W×C with 1 to 4 channels, not {shape}")
    return values


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in _CHANNELS)


def to_uint8(values: Any, *, normalize: bool) -> Any:
    """Bring values into 0–255.

    uint8 stays, True is 255. With `normalize`, floats from 0 to 1 are scaled by 255, and values
    from -1 to 1 as such: equal values are equally bright in every picture. Other values below 0 or
    over 255 are stretched to the whole range; without `normalize`, cut off. NaN and infinities
    are drawn as 0: a picture must not end a training run.
    """
    numpy = numpy_for("Image")
    if values.dtype == numpy.uint8:
        return numpy.ascontiguousarray(values)
    if values.dtype.kind == "b":
        return values.astype(numpy.uint8) * 255
    is_float = values.dtype.kind == "f"
    values = values.astype(numpy.float64)
    values = numpy.where(numpy.isfinite(values), values, 0.0)
    low, high = values.min(), values.max()
    if normalize and -1 <= low < 0 and high <= 1:
        values = (values + 1) * (255 / 2)
    elif normalize and (low < 0 or high > 255):
        values = (values - low) * (255.0 / (high - low)) if high > low else values * 0
    elif normalize and is_float and high <= 1:
        values = values * 255
    return numpy.clip(numpy.rint(values), 0, 255).astype(numpy.uint8)


def png_of_ids(ids: Any) -> MediaFile:
    """Encode class ids 0–255 by pixel as a grey PNG."""
    image = _pil().fromarray(numpy_for("Image").ascontiguousarray(ids, dtype="uint8"))
    return encode(image, mode="L", file_type="png").file


def to_pil(file: MediaFile) -> Any:
    """Return the PIL image, loaded, so that no file stays open."""
    with file.open() as opened, _opened(opened, file.shown) as image:
        return image.copy()


def to_numpy(file: MediaFile) -> Any:
    """Return H×W or H×W×C, as PIL decodes it; palettes are resolved to RGB or RGBA."""
    image = to_pil(file)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return numpy_for("Image").asarray(image)


def same(left: MediaFile, right: MediaFile) -> bool:
    """Compare pixels, of what is elsewhere its URL; equal digests make looking unnecessary."""
    if left.same_as(right):
        return True
    if left.uri is not None or right.uri is not None:
        return False
    one, other = to_numpy(left), to_numpy(right)
    return bool(one.shape == other.shape and (one == other).all())


@contextmanager
def _opened(file: Any, what: str) -> Iterator[Any]:
    """Open an image; says of which image what Pillow finds when it decodes it."""
    pil = _pil()
    try:
        with pil.open(file) as image:
            yield image
    except LinealError:
        raise
    except pil.UnidentifiedImageError as error:
        raise Invalid(f"{what} is not an image that Pillow can read") from error
    except Exception as error:  # each format has its own errors
        raise Invalid(f"{what} cannot be read as an image: {error}") from error
