"""Lists of runs, and what all of them logged (API-8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lineal.client import session
from lineal.client.backend import Backend
from lineal.client.media.types import needs_package
from lineal.client.public import history
from lineal.client.public.listed import ListedRuns
from lineal.client.public.lists import PAGE_SIZE, LazyList
from lineal.client.public.run import HISTORY_SAMPLES, Run
from lineal.core.records import RunQuery
from lineal.errors import Invalid

FORMATS = ("default", "pandas", "polars")


class Runs(LazyList[Run]):
    """Runs that load page by page."""

    def histories(
        self,
        samples: int = HISTORY_SAMPLES,
        keys: str | Sequence[str] | None = None,
        x_axis: str = history.STEP,
        format: str = "default",
        stream: str = "default",
    ) -> Any:
        """Return the histories of all runs together; each row says its `run_id`.

        format: `default` is a list of dicts, `pandas` and `polars` a frame whose columns are
        sorted. The rest as of `Run.history`, for each run. Raises Invalid.
        """
        if format not in FORMATS:
            raise Invalid(f"histories(format={format!r}): use one of {', '.join(FORMATS)}")
        rows = [
            {**row, "run_id": run.id}
            for run in self
            for row in run.history(samples, keys, x_axis, pandas=False, stream=stream)
        ]
        return rows if format == "default" else _frame(rows, format)


def runs(
    backend: Backend,
    query: RunQuery,
    *,
    empty: str,
    per_page: int = PAGE_SIZE,
    start: str | None = None,
) -> Runs:
    """List what a query finds, with what this process has logged so far."""
    session.flush()
    make = ListedRuns(backend).run
    return Runs(
        lambda page: backend.runs(query, page),
        make if not query.with_documents else lambda record: Run(backend, record),
        per_page=per_page,
        start=start,
        empty=empty,
    )


def _frame(rows: list[dict[str, Any]], format: str) -> Any:
    columns = sorted({key for row in rows for key in row})
    try:
        if format == "polars":
            import polars  # slow optional dependency

            try:
                frame = polars.from_dicts(rows, infer_schema_length=None) if rows else None
            except (polars.exceptions.PolarsError, TypeError) as error:
                raise Invalid(
                    f"These histories fit into no frame of polars: {error}; name `keys` that have "
                    'values of one type, or use format="pandas"'
                ) from error
            return polars.DataFrame() if frame is None else frame.select(columns)
        import pandas  # slow optional dependency
    except ImportError as error:
        needs_package(f'histories(format="{format}")', format, error)
    return pandas.DataFrame.from_records(rows, columns=columns)
