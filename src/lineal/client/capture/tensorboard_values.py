"""What an event of TensorBoard holds, as values to log."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from lineal.client.media import pixels
from lineal.client.media.files import MediaFile
from lineal.client.media.histogram import Histogram
from lineal.client.media.image import Image
from lineal.client.media.video import Video
from lineal.client.term import warn_once
from lineal.errors import LinealError

_TEXT_ENDING = "/text_summary"
"""What writers put behind the tag of a text."""
_SIZES = 2
"""Entries before the pictures of a tensor: their width and height."""


def values_of(summary: Any) -> dict[str, Any]:
    """Return numbers, texts, pictures, videos and histograms by their tags.

    What cannot be made of one, such as a picture where Pillow is missing, is left out and said
    once; so are kinds that have no counterpart here, unsaid.
    """
    found = {}
    for each in summary.value:
        try:
            value = _value(each)
        except LinealError as error:
            warn_once(f"`{each.tag}` of TensorBoard is not logged: {error}")
            continue
        if value is not None:
            found[each.tag.removesuffix(_TEXT_ENDING)] = value
    return found


def _value(value: Any) -> Any:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.HasField("image"):
        return _picture(value.image.encoded_image_string)
    if value.HasField("histo") and value.histo.bucket:
        histo = value.histo
        return _histogram(histo.bucket, [histo.min, *histo.bucket_limit], histo.max)
    return _of_tensor(value) if value.HasField("tensor") else None


def _of_tensor(value: Any) -> Any:
    """Return what is kept in the newer form, by the plugin that it is for."""
    tensor, plugin = value.tensor, value.metadata.plugin_data.plugin_name
    if plugin == "scalars":
        numbers = [*tensor.float_val, *tensor.double_val]
        return float(numbers[0]) if len(numbers) == 1 else None
    if plugin == "text":
        texts = [text.decode(errors="replace") for text in tensor.string_val]
        return texts[0] if len(texts) == 1 else texts or None
    if plugin == "images":
        return [_picture(data) for data in tensor.string_val[_SIZES:]] or None
    return None


def _picture(data: bytes) -> Image | Video:
    if data.startswith(b"GIF"):
        return Video(io.BytesIO(data), format="gif")
    return Image(pixels.to_pil(MediaFile(".png", data=data)))


def _histogram(counts: Iterable[float], edges: Sequence[float], most: float) -> Histogram:
    """Return a histogram of at most as many bins as one can have, neighbours taken together.

    edges: the least value, and the upper edge of each bin; the first bin may be empty, only there
    for its upper edge, and the last one may have no end but the greatest value, `most`.
    """
    counts, edges = list(counts), list(edges)
    if len(counts) > 1 and counts[0] == 0:
        counts, edges = counts[1:], edges[1:]
    edges[-1] = max(min(edges[-1], most), edges[-2])
    width = -(-len(counts) // Histogram.MAX_LENGTH)
    sums = [sum(counts[at : at + width]) for at in range(0, len(counts), width)]
    return Histogram(np_histogram=(sums, [*edges[:-1:width], edges[-1]]))
