"""Sounds: files as they are, and arrays as WAV."""

from __future__ import annotations

import io
import os
import wave
from typing import Any, ClassVar

from lineal.client.media import markup
from lineal.client.media.arrays import as_numpy, numpy_for
from lineal.client.media.files import MediaFile
from lineal.client.media.one_file import OneFile, file_at
from lineal.core.numbers import is_within
from lineal.errors import Invalid

CHANNELS_MOST = 32
BYTES_A_SECOND_MOST = (1 << 32) - 1
"""Of WAV."""
_SAMPLE_BYTES = 2
_LOUDEST = (1 << 15) - 1
"""The greatest sample of 16 bits."""


class Audio(OneFile):
    """A sound.

    data_or_path: path of a file, kept as it is, or samples as an array or list of shape (n,) or
    (n, channels), stored as WAV of 16 bits: floats from -1 to 1 (what is beyond is cut off), or
    integers of 8, 16 or 32 bits over their whole range. NaN is silence.
    sample_rate: samples a second; needed for an array.
    Raises Invalid, or MissingFile for a path that is not a file.
    """

    type_name: ClassVar[str] = "audio-file"
    folder: ClassVar[str] = "media/audio"
    list_type: ClassVar[str] = "audio"

    def __init__(
        self, data_or_path: Any, sample_rate: float | None = None, caption: str | None = None
    ) -> None:
        if isinstance(data_or_path, str | os.PathLike):
            file = file_at(data_or_path, "Audio")
        elif sample_rate is None:
            raise Invalid("Audio made from samples needs their sample_rate, such as 44100")
        else:
            file = MediaFile(".wav", data=_wav(data_or_path, sample_rate))
        super().__init__(file, caption)

    def _repr_html_(self) -> str:
        """Show a player in a notebook."""
        return markup.player("audio", self._file, self.format, self.caption, repr(self))


def _wav(samples: Any, rate: float) -> bytes:
    values = as_numpy(samples, "Audio")
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise Invalid(f"Samples have the shape (n,) or (n, channels), not {values.shape}")
    channels = 1 if values.ndim == 1 else values.shape[1]
    if channels > CHANNELS_MOST:
        raise Invalid(
            f"Samples of the shape {values.shape} would be {channels:,} channels; if these are "
            "channels first, transpose them"
        )
    if not is_within(rate, 1, BYTES_A_SECOND_MOST / (_SAMPLE_BYTES * channels)):
        raise Invalid(f"sample_rate is a number of samples a second, not {rate!r}")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(_SAMPLE_BYTES)
        file.setframerate(rate)
        file.writeframes(_sixteen_bits(values).tobytes())
    return buffer.getvalue()


def _sixteen_bits(values: Any) -> Any:
    """Return samples as integers of 16 bits, little-endian; raises Invalid."""
    numpy = numpy_for("Audio")
    if values.dtype.kind == "f":
        loud = numpy.clip(numpy.nan_to_num(values.astype("float64"), nan=0.0), -1, 1)
        return numpy.rint(loud * _LOUDEST).astype("<i2")
    if values.dtype in (numpy.uint8, numpy.int8):
        middle = 128 if values.dtype == numpy.uint8 else 0
        return (values.astype("<i2") - middle) << 8
    if values.dtype == numpy.int32:
        return (values >> 16).astype("<i2")
    if values.dtype.kind in "iu" and values.min() >= -_LOUDEST - 1 and values.max() <= _LOUDEST:
        return values.astype("<i2")
    raise Invalid(
        f"Samples are floats from -1 to 1 or integers of 8, 16 or 32 bits, not {values.dtype} "
        f"from {values.min()} to {values.max()}"
    )
