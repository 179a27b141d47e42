"""Pages of HTML."""

from __future__ import annotations

import os
from typing import IO, Any, ClassVar

from lineal.client.media import markup
from lineal.client.media.files import MediaFile
from lineal.client.media.one_file import OneFile, as_bytes, file_at
from lineal.errors import Invalid


class Html(OneFile):
    """A page, or a piece of one, kept as it is.

    data: the text, a file open for reading, or the path of a file. A text that is the path of a
    file means that file, unless `data_is_not_path`.
    inject: taken for W&B's sake; nothing is added to a page.
    Raises Invalid for anything else, MissingFile for a `Path` that is not a file.
    """

    type_name: ClassVar[str] = "html-file"
    folder: ClassVar[str] = "media/html"
    list_type: ClassVar[str] = "html"

    def __init__(
        self,
        data: str | os.PathLike[str] | IO[str] | IO[bytes],
        inject: bool = True,
        data_is_not_path: bool = False,
    ) -> None:
        super().__init__(_file(data, is_text=data_is_not_path))

    @property
    def html(self) -> str:
        """The text; fetched first if it is in an artifact."""
        return self.content.decode(errors="replace")

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame of its own that may not touch the notebook."""
        return markup.frame(self.html)


def _file(data: Any, *, is_text: bool) -> MediaFile:
    if isinstance(data, str):
        if is_text or not _is_file(data):
            return MediaFile(".html", data=as_bytes(data))
        return file_at(data, "Html")
    if isinstance(data, os.PathLike):
        return file_at(data, "Html")
    if callable(getattr(data, "read", None)):
        return MediaFile(".html", data=as_bytes(data.read()))
    raise Invalid(f"Html takes a text, a path or an open file, not {type(data).__name__}")


def _is_file(text: str) -> bool:
    try:
        return os.path.isfile(text)
    except ValueError:  # with a NUL
        return False
