"""Figures of Plotly, as the JSON that Plotly reads them from."""

from __future__ import annotations

from typing import Any, ClassVar

from lineal.client.media.files import MediaFile
from lineal.client.media.one_file import OneFile, as_bytes
from lineal.client.media.types import needs_package
from lineal.errors import Invalid


class Plotly(OneFile):
    """A figure of Plotly. Raises Invalid for anything else; a figure of matplotlib is an Image."""

    type_name: ClassVar[str] = "plotly-file"
    folder: ClassVar[str] = "media/plotly"
    list_type: ClassVar[str] = "plotly"

    def __init__(self, val: Any) -> None:
        if not is_figure(val):
            raise Invalid(f"Plotly takes a figure of Plotly, not {type(val).__name__}")
        super().__init__(MediaFile(".plotly.json", data=as_bytes(val.to_json())))

    @property
    def figure(self) -> Any:
        """The figure, made anew; needs plotly."""
        try:
            from plotly import io  # slow optional dependency
        except ImportError as error:
            needs_package("To draw this", "plotly", error)
        return io.from_json(self.content.decode())


def is_figure(value: object) -> bool:
    return callable(getattr(value, "to_plotly_json", None))
