"""What a benchmark is told, and what it reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.timing import Pairs, Taken


@dataclass(frozen=True)
class Bench:
    """One call of the runner: where, how often, how much."""

    root: str
    runs: int
    is_quick: bool = False
    """Small inputs, only to see that the benchmarks work; the limits say nothing then."""
    is_full: bool = False
    """The largest inputs, where the usual ones are smaller than the requirement's."""

    def folder(self, *parts: str) -> str:
        """Return a folder below the root, made if need be."""
        path = os.path.join(self.root, *parts)
        os.makedirs(path, exist_ok=True)
        return path

    def new_path(self, name: str) -> str:
        """Return a path in a fresh folder at which there is nothing yet.

        Nothing is deleted until the end of all: ext4 creates files ten times more slowly after
        it has deleted many.
        """
        number = len(os.listdir(self.folder("fresh")))
        return os.path.join(self.folder("fresh", str(number)), name)

    def size(self, usual: int, quick: int) -> int:
        return quick if self.is_quick else usual


@dataclass(frozen=True)
class Result:
    """One line of the table; `measured` and `limit` are in `unit`. No limit: for the record."""

    what: str
    measured: float
    unit: str
    limit: float | None = None
    work: Taken | None = None
    yardstick: Taken | None = None
    note: str = ""

    @property
    def is_within(self) -> bool | None:
        return None if self.limit is None else self.measured <= self.limit

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_within": self.is_within}


def ratio(what: str, pairs: Pairs, limit: float | None, note: str = "") -> Result:
    """Return the line of a case that is held against its yardstick."""
    return Result(what, pairs.ratio, "x", limit, pairs.work, pairs.yardstick, note)


HEAD = ("case", "what", "measured", "limit", "wall (CPU)", "yardstick (CPU)", "")


def table(named: Sequence[tuple[str, Result]], *, judges: bool) -> str:
    """Return the results as aligned text; notes follow."""
    rows = [HEAD]
    for case, result in named:
        verdict = {True: "ok", False: "OVER", None: ""}[result.is_within] if judges else ""
        rows.append(
            (
                case,
                result.what,
                _number(result.measured, result.unit),
                "" if result.limit is None else _number(result.limit, result.unit),
                _taken(result.work),
                _taken(result.yardstick),
                verdict,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = [f"{case}: {result.what}: {result.note}" for case, result in named if result.note]
    return "\n".join([*lines, "", *notes]).rstrip()


def _number(value: float, unit: str) -> str:
    if not unit:
        return f"{value:.4g}"
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _taken(taken: Taken | None) -> str:
    return "" if taken is None else f"{taken.wall_seconds:.3f} s ({taken.cpu_seconds:.3f})"
