"""Tables of what a model was given, what it said, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lineal.client.media.table import LogMode, Table
from lineal.client.media.types import MediaSource, MediaTarget
from lineal.core.names import strings
from lineal.errors import Invalid

if TYPE_CHECKING:
    from typing import Self

_ROLES = ("input_columns", "output_columns", "score_columns")


class EvalTable(Table):
    """A table whose columns are inputs, outputs or scores; stored and logged as any table.

    input_columns, output_columns, score_columns: names of them; a column in none is an output.
    Without `columns` and data that name some, the columns are these, in this order.
    backend, unsupported_media_mode: W&B's; there is one place, and it takes all media.
    Raises Invalid for a `log_mode` other than `IMMUTABLE`; when it is stored, for a name that no
    column has.
    """

    type_name: ClassVar[str] = "eval-table"

    def __init__(
        self,
        columns: Sequence[str | int] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | Sequence[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: LogMode = "IMMUTABLE",
        *,
        input_columns: str | Sequence[str] = (),
        output_columns: str | Sequence[str] = (),
        score_columns: str | Sequence[str] = (),
        backend: str | None = None,
        unsupported_media_mode: Literal["stub", "raise"] = "stub",
    ) -> None:
        if log_mode != "IMMUTABLE":
            raise Invalid(f"log_mode of an EvalTable is `IMMUTABLE`, not {log_mode!r}")
        self.input_columns = list(strings(input_columns))
        self._named_outputs = list(strings(output_columns))
        self.score_columns = list(strings(score_columns))
        named = [*self.input_columns, *self._named_outputs, *self.score_columns]
        if columns is None and dataframe is None and named:
            columns = list(dict.fromkeys(named))
        super().__init__(
            columns, data, rows, dataframe, dtype, optional, allow_mixed_types, log_mode
        )

    @property
    def output_columns(self) -> list[str]:
        """Those that are named as such, and those that are nothing else."""
        others = {*self.input_columns, *self._named_outputs, *self.score_columns}
        unnamed = [str(name) for name in self.columns if str(name) not in others]
        return [*self._named_outputs, *unnamed]

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Return the table's JSON object, with the names of the columns by what they are."""
        known = {str(name) for name in self.columns}
        roles = {role: getattr(self, role) for role in _ROLES}
        for role, names in roles.items():
            unknown = [name for name in names if name not in known]
            if unknown:
                raise Invalid(
                    f"{role} of the EvalTable names {unknown}, which no column is called; "
                    f"it has {sorted(known)}"
                )
        return {**super().write(target), **roles}

    @classmethod
    def _read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        table = super()._read(json_obj, source)
        table.input_columns, table._named_outputs, table.score_columns = (
            list(json_obj[role]) for role in _ROLES
        )
        return table
