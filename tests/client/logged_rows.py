"""What a run has logged, as it is stored."""

from __future__ import annotations

import json
from typing import Any

import lineal
from lineal.core.records import Stream


def history(run: lineal.Run) -> list[dict[str, Any]]:
    """Return the rows without the times that each has."""
    run.flush()
    lines = run.backend.read_lines(run.record.key, Stream.HISTORY)
    rows = [json.loads(line) for line in lines]
    for row in rows:
        assert row.pop("_timestamp") > 1.7e9
        assert row.pop("_runtime") >= 0
    return rows
