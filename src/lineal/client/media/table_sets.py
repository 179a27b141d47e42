"""Several tables as one: joined by a key, or one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from lineal.client.media.files import json_file
from lineal.client.media.logged import log_object
from lineal.client.media.table import Table
from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.core.file_paths import entry_path, folder_path
from lineal.errors import IntegrityError, Invalid

if TYPE_CHECKING:
    from typing import Self

    from lineal.client.artifact.manifest import ManifestEntry

TABLE_FOLDER = "media/tables"
_ENDING = f".{Table.type_name}.json"


class JoinedTable(DataObject):
    """Two tables whose rows belong together where a column of both has the same value.

    table1, table2: tables, which are stored with it, entries of tables of a logged artifact, which
    are fetched for that, or the names of tables that the artifact has.
    join_key: the column, or a list of that of the first and that of the second.
    Raises Invalid for a column that a table does not have.
    """

    type_name: ClassVar[str] = "joined-table"

    def __init__(
        self,
        table1: Table | str | ManifestEntry,
        table2: Table | str | ManifestEntry,
        join_key: str | Sequence[str],
    ) -> None:
        keys = [join_key, join_key] if isinstance(join_key, str) else list(join_key)
        if len(keys) != 2:
            raise Invalid(f"join_key is the name of one column, or of two, not {join_key!r}")
        tables = _fetched(table1), _fetched(table2)
        for table, key in zip(tables, keys, strict=True):
            if not isinstance(table, Table | str):
                raise Invalid(f"JoinedTable joins tables, not {type(table).__name__}")
            if isinstance(table, Table) and key not in table.columns:
                raise Invalid(f"{table!r} has no column {key!r} to be joined by")
        self.table1, self.table2 = tables
        self.join_key = join_key if isinstance(join_key, str) else keys

    def __repr__(self) -> str:
        return f"<JoinedTable {self.table1!r} and {self.table2!r} by {self.join_key!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JoinedTable):
            return NotImplemented
        ours, theirs = (self.table1, self.table2), (other.table1, other.table2)
        return (self.join_key, ours) == (other.join_key, theirs)

    __hash__ = None  # type: ignore[assignment]  # its tables may be changed

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Store the tables and return the JSON object."""
        return {
            "_type": self.type_name,
            "table1": _stored(self.table1, target),
            "table2": _stored(self.table2, target),
            "join_key": self.join_key,
        }

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        """Log it with its tables as an artifact of its own, as a table is."""
        return log_object(self, run, key)

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild it with both tables; raises IntegrityError for foreign JSON."""
        try:
            first, second = (_read(json_obj[which], source) for which in ("table1", "table2"))
            return cls(first, second, json_obj["join_key"])
        except (KeyError, TypeError, Invalid) as error:
            raise IntegrityError(f"This is no JoinedTable that can be read: {error!r}") from error


class PartitionedTable(DataObject):
    """All tables below a folder of the artifact as one, in the order of their paths.

    Add it once, and tables below the folder whenever there are more, as with `incremental=True`.
    """

    type_name: ClassVar[str] = "partitioned-table"

    def __init__(self, parts_path: str) -> None:
        """parts_path: the folder. Raises HostilePath."""
        self.parts_path = folder_path(parts_path)
        self._source: MediaSource | None = None

    @cached_property
    def parts(self) -> list[Table]:
        """The tables, fetched now; none while it is not in a logged artifact."""
        if self._source is None:
            return []
        found = self._source.under(self.parts_path)
        return [_read(path, self._source) for path in sorted(found) if path.endswith(_ENDING)]

    @property
    def columns(self) -> list[str | int]:
        """Those of all tables, in the order in which they come."""
        return list(dict.fromkeys(name for part in self.parts for name in part.columns))

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield (number of the row, its cells by `columns`); None where a table lacks a column."""
        columns, number = self.columns, 0
        for part in self.parts:
            for row in part.data:
                cells = dict(zip(part.columns, row, strict=True))
                yield number, [cells.get(name) for name in columns]
                number += 1

    def __repr__(self) -> str:
        return f"<PartitionedTable of what is below {self.parts_path or 'the artifact'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PartitionedTable):
            return NotImplemented
        return (self.parts_path, self.parts) == (other.parts_path, other.parts)

    __hash__ = None  # type: ignore[assignment]  # its tables may be changed

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Return the JSON object; the tables are entries of their own."""
        return {"_type": self.type_name, "parts_path": self.parts_path}

    def _log(self, run: Any, key: str, step: int) -> NoReturn:
        raise Invalid(
            "A PartitionedTable is of the tables beside it in an artifact: add it there, and log "
            f"that; `{key}` was not logged"
        )

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild it without fetching a table; raises IntegrityError for foreign JSON."""
        try:
            found = cls(json_obj["parts_path"])
        except (KeyError, Invalid) as error:
            raise IntegrityError(f"This is no PartitionedTable: {error!r}") from error
        found._source = source
        return found


def _fetched(table: Any) -> Any:
    """Return the table of an entry of a logged artifact; anything else as it is."""
    if not callable(getattr(table, "parent_artifact", None)):
        return table
    return table.parent_artifact().get(table.path)


def _stored(table: Table | str, target: MediaTarget) -> str:
    """Return the path of a table in the artifact, storing it if it is not there."""
    if isinstance(table, str):
        return entry_path(table if table.endswith(_ENDING) else table + _ENDING)
    path: str = json_file(table.write(target), _ENDING).write(target, TABLE_FOLDER)["path"]
    return path


def _read(path: str, source: MediaSource) -> Table:
    with open(source.path(path), encoding="utf-8") as file:
        return Table.read(json.load(file), source)
