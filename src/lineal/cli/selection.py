"""The words that choose versions, the same for `artifact rm` and for retention policies."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lineal.cli import output
from lineal.core.retention import (
    KeepBest,
    Preview,
    Selection,
    check,
    duration,
    selection_to_json,
)
from lineal.errors import Invalid

SHOWN = 20
"""Versions that a preview lists."""

OlderThan = Annotated[
    str | None,
    typer.Option(
        "--older-than",
        metavar="TIME",
        help="Made longer ago than `30d`, `12h`, `P4W` …; days without unit",
    ),
]
Untagged = Annotated[bool, typer.Option("--untagged", help="Without tags")]
Unaliased = Annotated[
    bool, typer.Option("--unaliased", help="Without aliases; `latest` does not count")
]
Unused = Annotated[bool, typer.Option("--unused", help="Used by no run")]
KeepLast = Annotated[
    int | None,
    typer.Option("--keep-last", metavar="N", help="Not among the last N of their collection"),
]
KeepBestOf = Annotated[
    int | None,
    typer.Option("--keep-best", metavar="N", help="Not among the best N of their collection"),
]
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="KEY",
        help="What is best: `summary.KEY` of the run that logged it, or `metadata.KEY`",
    ),
]
Minimize = Annotated[bool, typer.Option("--minimize", help="The smallest is best")]
OfType = Annotated[
    str | None,
    typer.Option(
        "--type", "-t", metavar="TYPE", help="Of artifacts of this type only, such as `run_table`"
    ),
]


def read(
    *,
    older_than: str | None,
    untagged: bool,
    unaliased: bool,
    unused: bool,
    keep_last: int | None,
    keep_best: int | None,
    by: str | None,
    minimize: bool,
    type: str | None,
) -> Selection | None:
    """Return the selection that options make, None if they say nothing."""
    if (keep_best is None) != (by is None):
        raise Invalid("`--keep-best N` and `--by KEY` belong together")
    if minimize and keep_best is None:
        raise Invalid("`--minimize` says what is best; it belongs to `--keep-best N --by KEY`")
    best = None
    if keep_best is not None and by is not None:
        best = KeepBest(keep_best, by, "minimize" if minimize else "maximize")
    seconds = None if older_than is None else int(duration(older_than).total_seconds())
    selection = Selection(
        older_than_seconds=seconds,
        untagged=untagged,
        unaliased=unaliased,
        unused=unused,
        keep_last=keep_last,
        keep_best=best,
        type=type,
    )
    if selection.is_empty and type is not None:
        raise Invalid("`--type` needs another condition beside it; `--keep-last 0` means all")
    return None if selection.is_empty else check(selection)


def words(selection: Selection) -> str:
    """Return a selection as a person would say it."""
    parts = []
    if selection.older_than_seconds is not None:
        parts.append(f"older than {output.days(selection.older_than_seconds)}")
    parts += [word for word in ("untagged", "unaliased", "unused") if getattr(selection, word)]
    if selection.keep_last is not None:
        parts.append(f"not among the last {selection.keep_last:,}")
    best = selection.keep_best
    if best is not None:
        how = "highest" if best.goal == "maximize" else "lowest"
        parts.append(f"not among the {best.count:,} with the {how} {best.key}")
    if selection.type is not None:
        parts.append(f"of type {selection.type}")
    return ", ".join(parts)


def print_preview(found: Preview) -> None:
    output.table(
        ("version", "aliases", "size", "created"),
        (
            (
                f"{each.project}/{each.name}",
                output.labels(each.aliases),
                output.size(each.size_bytes),
                each.created_at,
            )
            for each in found.versions[:SHOWN]
        ),
        right=("size",),
        none="No version meets the conditions",
    )
    if not found.is_rated:
        output.note("No version has the number that `--by` names: the newest count as the best")
    if found.count > SHOWN:
        output.note(f"… and {found.count - SHOWN:,} more; `--json` names up to 100")
    output.data(
        f"{output.plural(found.count, 'version')}: {output.size(found.bytes_freed)} to be freed, "
        f"{output.size(found.bytes_shared)} shared with what stays"
    )


def preview_as_json(found: Preview, selection: Selection) -> dict[str, Any]:
    return {
        "selection": selection_to_json(selection),
        "count": found.count,
        "bytes_freed": found.bytes_freed,
        "bytes_shared": found.bytes_shared,
        "is_rated": found.is_rated,
        "versions": [
            {"name": each.path, "size": each.size_bytes, "created_at": each.created_at}
            for each in found.versions
        ],
    }
