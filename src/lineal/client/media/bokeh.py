"""Charts of Bokeh, as the JSON that Bokeh reads them from."""

from __future__ import annotations

import json
import os
from typing import Any, ClassVar

from lineal.client.media.files import MediaFile
from lineal.client.media.one_file import OneFile, file_at
from lineal.client.media.types import needs_package
from lineal.errors import Invalid

FORMATS = ("bokeh.json", "json")


class Bokeh(OneFile):
    """A chart of Bokeh.

    data_or_path: a model, such as a figure, a document, or the path of a document's JSON, which is
    kept as it is. Raises Invalid for anything else, MissingFile for a path that is not a file.
    """

    type_name: ClassVar[str] = "bokeh-file"
    folder: ClassVar[str] = "media/bokeh"
    list_type: ClassVar[str] = "bokeh"

    def __init__(self, data_or_path: Any) -> None:
        if isinstance(data_or_path, str | os.PathLike):
            file = file_at(data_or_path, "Bokeh", FORMATS)
        else:
            # in its own order: what a part refers to is read before it
            text = json.dumps(_json(data_or_path), separators=(",", ":"))
            file = MediaFile(".bokeh.json", data=text.encode())
        super().__init__(file)

    @property
    def document(self) -> Any:
        """The document, made anew; needs bokeh."""
        return _bokeh().Document.from_json(json.loads(self.content))


def _json(value: Any) -> Any:
    """Return the JSON of a document, or of one that has this model alone."""
    document = _bokeh()
    if isinstance(value, document.Document):
        return value.to_json(deferred=False)
    if not callable(getattr(value, "references", None)):  # what all models have
        raise Invalid(
            f"Bokeh takes a model or a document of Bokeh, or the path of its JSON, "
            f"not {type(value).__name__}"
        )
    if value.document is not None:  # a model has one at most
        return value.document.to_json(deferred=False)
    alone = document.Document()
    alone.add_root(value)
    try:
        return alone.to_json(deferred=False)
    finally:
        alone.remove_root(value)


def _bokeh() -> Any:
    try:
        from bokeh import document  # slow optional dependency
    except ImportError as error:
        needs_package("This", "bokeh", error)
    return document
