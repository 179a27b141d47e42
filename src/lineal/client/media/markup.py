"""How a notebook shows tables, media and histograms: what their `_repr_html_` returns."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from typing import Any

from lineal.client.media.files import MediaFile

ROWS_MOST = 20
CELL_CHARACTERS_MOST = 200
CELL_PIXELS = 96
BARS_HEIGHT, BARS_PIXELS = 60, 256
PICTURE_BYTES_MOST = 4 << 20
"""A notebook keeps all that it shows; larger pictures are only described."""
_TYPES = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "gif": "gif", "webp": "webp", "bmp": "bmp"}
"""Formats that every browser shows and that can hold no script."""
_PLAYED = {"wav": "wav", "mp3": "mpeg", "flac": "flac", "m4a": "mp4", "mp4": "mp4", "webm": "webm"}
FRAME_PIXELS = 400


def table(columns: Sequence[object], rows: Sequence[Sequence[Any]]) -> str:
    """Return the first rows as a table; cells that can show themselves do."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:ROWS_MOST])
    left = len(rows) - ROWS_MOST
    more = f"<p>… {left:,} more of {len(rows):,} rows</p>" if left > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def picture(file: MediaFile, format: str, caption: str | None, otherwise: str) -> str:
    """Return an image as an element that holds its bytes, with its caption.

    otherwise: the text for what is too large, or not shown by browsers.
    """
    kind = _TYPES.get(format.lower())
    if kind is None or file.size_bytes > PICTURE_BYTES_MOST:
        return escape(otherwise)
    data = base64.b64encode(file.read()).decode()
    shown = f'<img src="data:image/{kind};base64,{data}" style="max-width:100%">'
    return f"{shown}<br>{escape(caption)}" if caption else shown


def player(kind: str, file: MediaFile, format: str, caption: str | None, otherwise: str) -> str:
    """Return a player that holds the bytes. kind: `audio` or `video`; the rest as of `picture`."""
    type = "ogg" if format in ("ogg", "oga", "ogv", "opus") else _PLAYED.get(format)
    if type is None or file.size_bytes > PICTURE_BYTES_MOST:
        return escape(otherwise)
    data = base64.b64encode(file.read()).decode()
    shown = f'<{kind} controls src="data:{kind}/{type};base64,{data}" style="max-width:100%">'
    shown += f"</{kind}>"
    return f"{shown}<br>{escape(caption)}" if caption else shown


def frame(page: str) -> str:
    """Return a page in a frame that may run scripts but reaches nothing outside of it."""
    return (
        f'<iframe sandbox="allow-scripts" srcdoc="{escape(page)}" '
        f'style="width:100%;height:{FRAME_PIXELS}px;border:0"></iframe>'
    )


def folded(title: str, content: str, *, height: int, is_open: bool) -> str:
    """Return content under a title that folds it, with a scroll bar beyond `height` pixels."""
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(title)}</summary>"
        f'<div style="max-height:{height}px;overflow:auto">{content}</div></details>'
    )


def histogram(counts: Sequence[float], edges: Sequence[float], title: str) -> str:
    """Return bars of equal width as a drawing, with the first and the last edge below."""
    top = max((count for count in counts if math.isfinite(count)), default=0) or 1
    heights = [
        round(min(max(count / top, 0), 1) * BARS_HEIGHT, 1) if math.isfinite(count) else 0
        for count in counts
    ]
    bars = "".join(
        f'<rect x="{index}" y="{BARS_HEIGHT - height}" width="1" height="{height}"/>'
        for index, height in enumerate(heights)
    )
    return (
        f'<svg viewBox="0 0 {len(counts)} {BARS_HEIGHT}" preserveAspectRatio="none" '
        f'style="width:{BARS_PIXELS}px;max-width:100%;height:{BARS_HEIGHT}px" '
        f'fill="steelblue"><title>{escape(title)}</title>{bars}</svg>'
        f"<br>{edges[0]:g} … {edges[-1]:g}"
    )


def _cell(value: Any) -> str:
    show = getattr(value, "_repr_html_", None)
    if show is not None:
        return f'<td><div style="max-width:{CELL_PIXELS}px">{show()}</div></td>'
    text = str(value)
    if len(text) > CELL_CHARACTERS_MOST:
        text = text[:CELL_CHARACTERS_MOST] + "…"
    return f"<td>{escape(text)}</td>"
