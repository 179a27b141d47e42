"""Charts: a table, and which of its columns are drawn how."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from lineal.client.media import drawing, markup
from lineal.client.media.files import MediaFile
from lineal.client.media.table import Table
from lineal.client.media.types import DataObject, MediaTarget
from lineal.errors import Invalid


class CustomChart(DataObject):
    """A table to be drawn; `lineal.plot` makes them.

    id: how, such as `wandb/line/v0`; names are those of W&B. table: what is drawn. fields: which
    column has which part, such as `{"x": "step", "y": "loss"}`. string_fields: texts of the
    chart, such as its title, which may be among the fields, too. Raises Invalid for a column that
    the table does not have.
    """

    type_name: ClassVar[str] = "custom-chart"

    def __init__(
        self,
        id: str,
        table: Table,
        fields: Mapping[str, str],
        string_fields: Mapping[str, str | None] | None = None,
    ) -> None:
        if not isinstance(table, Table):
            raise Invalid(f"A chart is drawn of a Table, not of {type(table).__name__}")
        fields, texts = dict(fields), dict(string_fields or {})
        if fields.get("title") not in (None, *table.columns):  # as W&B's own example has it
            texts.setdefault("title", fields.pop("title"))
        for part, column in fields.items():
            if column not in table.columns:
                raise Invalid(
                    f"The table has no column {column!r} for the {part} of the chart; "
                    f"its columns are {', '.join(map(repr, table.columns))}"
                )
        self.id = str(id)
        self.table = table
        self.fields = fields
        self.string_fields = {key: text for key, text in texts.items() if text is not None}

    @property
    def title(self) -> str:
        return self.string_fields.get("title", "")

    def __repr__(self) -> str:
        title = f" {self.title!r}" if self.title else ""
        return f"<CustomChart {self.id}{title} of {len(self.table):,} rows>"

    def figure(self) -> Any:
        """Return the chart as a figure of matplotlib, drawn of the whole table.

        Raises Invalid without matplotlib, and for a kind of chart that is not of `lineal.plot`.
        """
        return drawing.figure(self)

    def _repr_html_(self) -> str:
        """Show the chart in a notebook; the table where it cannot be drawn."""
        picture = io.BytesIO()
        try:
            self.figure().savefig(picture, format="png")
        except Exception:  # noqa: BLE001 - such as texts where numbers belong
            return self.table._repr_html_()
        return markup.picture(MediaFile(".png", data=picture.getvalue()), "png", None, repr(self))

    def write(self, target: MediaTarget) -> NoReturn:
        raise Invalid("A chart can be logged, not added to an artifact or a table; add its `table`")

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        """Log the table as the run's own artifact; the row says how it is drawn."""
        return {
            "_type": self.type_name,
            "id": self.id,
            "fields": self.fields,
            "string_fields": self.string_fields,
            "table": self.table._log(run, key, step),
        }
