"""Videos: files as they are, and arrays of frames encoded."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
from typing import Any, ClassVar

from lineal.client.media import markup
from lineal.client.media.arrays import as_numpy, numpy_for
from lineal.client.media.files import MediaFile
from lineal.client.media.one_file import OneFile, file_at, file_from
from lineal.client.media.pixels import to_uint8
from lineal.client.media.types import needs_media_extra, needs_package
from lineal.core.numbers import is_within
from lineal.errors import Invalid

FORMATS = ("gif", "mp4", "webm", "ogg")
FRAMES_PER_SECOND = 4
FPS_LEAST, FPS_MOST = 0.01, 1000
"""A GIF shows a picture for at most 655 s."""
_CODECS = {"mp4": "libx264", "webm": "libvpx-vp9", "ogg": "libtheora"}


class Video(OneFile):
    """A video.

    data_or_path: path of a GIF, MP4, WebM or Ogg file, kept as it is; such a file open for
    reading, with `format` unless its name ends so; or frames as an array or tensor of shape
    (time, channels, height, width), with 1, 3 or 4 channels and values as of `Image`. Of (batch,
    time, channels, height, width) the videos of a batch are shown beside and below each other.
    fps: frames a second, of an array; 4 by default. format: of an array `gif` by default; the
    others need `pip install 'lineal[video]'`.
    Raises Invalid, or MissingFile for a path that is not a file.
    """

    type_name: ClassVar[str] = "video-file"
    folder: ClassVar[str] = "media/videos"
    list_type: ClassVar[str] = "videos"

    def __init__(
        self,
        data_or_path: Any,
        caption: str | None = None,
        fps: float | None = None,
        format: str | None = None,
    ) -> None:
        kind = str(format or "gif").lower().removeprefix(".")
        if isinstance(data_or_path, str | os.PathLike):
            file = file_at(data_or_path, "Video", FORMATS)
        elif callable(getattr(data_or_path, "read", None)):
            file = file_from(data_or_path, "Video", format, FORMATS)
        else:
            file = MediaFile(f".{kind}", data=_encoded(data_or_path, fps, kind))
        super().__init__(file, caption)

    def _repr_html_(self) -> str:
        """Show the video in a notebook."""
        if self.format == "gif":
            return markup.picture(self._file, self.format, self.caption, repr(self))
        return markup.player("video", self._file, self.format, self.caption, repr(self))


def _encoded(data: Any, fps: float | None, kind: str) -> bytes:
    rate = FRAMES_PER_SECOND if fps is None else fps
    if kind not in FORMATS:
        raise Invalid(f"Videos cannot be stored as {kind!r}; use {', '.join(FORMATS)}")
    if not is_within(rate, FPS_LEAST, FPS_MOST):
        raise Invalid(
            f"fps is a number of frames a second from {FPS_LEAST} to {FPS_MOST:,}, not {fps!r}"
        )
    frames = _frames(as_numpy(data, "Video"))
    return _gif(frames, rate) if kind == "gif" else _film(frames, rate, kind)


def _frames(values: Any) -> Any:
    """Return uint8 of shape (time, height, width, 3); raises Invalid."""
    if values.ndim == 4:
        values = values[None]
    if values.ndim != 5 or 0 in values.shape or values.shape[2] not in (1, 3, 4):
        raise Invalid(
            "Frames have the shape (time, channels, height, width) with 1, 3 or 4 channels, "
            f"or one more dimension before for a batch, not {values.shape}"
        )
    tiles = to_uint8(values, normalize=True)[:, :, :3].transpose(0, 1, 3, 4, 2)
    whole = _side_by_side(tiles)
    return whole.repeat(3, axis=3) if whole.shape[3] == 1 else whole


def _side_by_side(tiles: Any) -> Any:
    """Lay (batch, time, height, width, channels) out as one video; empty places are black."""
    numpy = numpy_for("Video")
    count, time, height, width, channels = tiles.shape
    columns = int(numpy.ceil(numpy.sqrt(count)))
    rows = -(-count // columns)
    grid = numpy.zeros((rows * columns, time, height, width, channels), "uint8")
    grid[:count] = tiles
    grid = grid.reshape(rows, columns, time, height, width, channels)
    return grid.transpose(2, 0, 3, 1, 4, 5).reshape(time, rows * height, columns * width, channels)


def _gif(frames: Any, rate: float) -> bytes:
    try:
        from PIL import Image  # slow optional dependency
    except ImportError as error:
        needs_media_extra("Video", "Pillow", error)
    first, *others = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=others,
        duration=max(round(1000 / rate), 10),  # a GIF counts hundredths of a second
        loop=0,
    )
    return buffer.getvalue()


def _film(frames: Any, rate: float, kind: str) -> bytes:
    try:
        import imageio_ffmpeg  # an optional dependency that brings ffmpeg
    except ImportError as error:
        what = f"Video of frames as {kind}"
        needs_package(what, "imageio-ffmpeg", error, install="'lineal[video]'")
    numpy = numpy_for("Video")
    _, height, width, _ = frames.shape  # H.264 is played if both are even
    even = numpy.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    with tempfile.TemporaryDirectory(prefix="lineal-video-") as folder:
        path = os.path.join(folder, f"film.{kind}")
        ffmpeg = subprocess.run(
            [
                *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"),
                *("-f", "rawvideo", "-pix_fmt", "rgb24", "-r", str(rate)),
                *("-s", f"{even.shape[2]}x{even.shape[1]}", "-i", "-"),
                *("-c:v", _CODECS[kind], "-pix_fmt", "yuv420p", path),  # which all browsers play
            ],
            input=even.tobytes(),
            capture_output=True,
        )
        if ffmpeg.returncode != 0:
            why = ffmpeg.stderr.decode(errors="replace").strip()
            raise Invalid(f"ffmpeg cannot store these frames as {kind}: {why}")
        with open(path, "rb") as file:
            return file.read()
