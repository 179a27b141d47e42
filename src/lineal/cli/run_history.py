"""`lineal run history`: every row that a run logged, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Annotated

import typer

from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.options import Json, Run
from lineal.core.records import JsonObject

VALUE_MOST = 60
"""Characters of one value in the table."""


def history(
    run: Run,
    keys: Annotated[
        str | None,
        typer.Option(metavar="KEYS", help="Only rows that have these metrics: `loss,val_acc`"),
    ] = None,
    json: Json = False,
) -> None:
    """Print every row that a run logged, unsampled.

    \b
    Example:
      lineal run history vision/abcd1234 --keys loss,val_acc
    """
    connection = connect()
    public = connection.public_run(connection.run(run))
    wanted = [key.strip() for key in keys.split(",") if key.strip()] if keys else None
    rows = iter(public.scan_history(keys=wanted))
    if json:
        output.as_json_list(rows)
        return
    # Read twice: the columns come before the first row, and memory may not hold all rows.
    columns = wanted or _columns(public.scan_history())
    first = next(rows, None)
    if first is None:
        output.note(_nothing_logged(wanted, public.scan_history()))
        return
    cut: set[str] = set()
    rows = chain((first,), rows)
    output.table(columns, (_shortened(row, columns, cut) for row in rows), right=columns)
    if cut:
        output.note(
            f"Cut to {VALUE_MOST} characters: {', '.join(sorted(cut))}; `--json` prints all of it"
        )


def _shortened(row: JsonObject, columns: list[str], cut: set[str]) -> list[str]:
    """Return the cells of a row, noting which columns have longer values than a table shows."""
    cells = [output.cell(row.get(key)) for key in columns]
    if max(map(len, cells), default=0) <= VALUE_MOST:
        return cells
    cut.update(key for key, text in zip(columns, cells, strict=True) if len(text) > VALUE_MOST)
    return [text if len(text) <= VALUE_MOST else f"{text[: VALUE_MOST - 1]}…" for text in cells]


def _nothing_logged(wanted: list[str] | None, rows: Iterable[JsonObject]) -> str:
    there = ", ".join(_columns(rows))
    if not wanted or not there:
        return "This run has logged no metrics"
    return f"No row has {' and '.join(f'`{key}`' for key in wanted)}; this run has: {there}"


def _columns(rows: Iterable[JsonObject]) -> list[str]:
    """Return the keys of all rows: the step first, then by name, without the clock's columns."""
    found = {key for row in rows for key in row}
    shown = sorted(key for key in found if not key.startswith("_"))
    return (["_step"] if "_step" in found else []) + shown
