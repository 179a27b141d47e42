"""`lineal artifact diff`: what changed from one version to another, files and metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from lineal.cli import describe, output
from lineal.cli.connect import connect, read_entries
from lineal.cli.options import After, Before, Json
from lineal.client.references import known_size
from lineal.core import manifest
from lineal.core.manifest import Diff
from lineal.core.records import JsonObject

SHOWN = 20
"""Files of each kind that are listed, such as of a folder that was renamed."""
T = TypeVar("T")


def diff(
    before: Before,
    after: After,
    files: Annotated[
        bool,
        typer.Option("--files", help=f"List all files, not only the first {SHOWN} of each kind"),
    ] = False,
    json: Json = False,
) -> None:
    """Compare two versions: files added, removed, changed and renamed, and their metadata.

    \b
    Example:
      lineal artifact diff vision/photos:v0 vision/photos
    """
    connection = connect()
    a, b = connection.version(before), connection.version(after)
    backend = connection.backend
    old, new = manifest.different_segments(backend.manifest(a.id), backend.manifest(b.id))
    change = manifest.diff(read_entries(backend, a, old), read_entries(backend, b, new))
    metadata = _metadata_diff(a.metadata, b.metadata)
    if json:
        output.as_json(
            {"before": a.path, "after": b.path} | describe.diff(change) | {"metadata": metadata}
        )
        return
    output.data(f"{a.path} → {b.path}", bold=True)
    _print_diff(change, all_files=files)
    _print_metadata_diff(metadata)


def _metadata_diff(before: JsonObject, after: JsonObject) -> dict[str, Any]:
    return {
        "added": {key: after[key] for key in sorted(after.keys() - before.keys())},
        "removed": {key: before[key] for key in sorted(before.keys() - after.keys())},
        "changed": {
            key: {"before": before[key], "after": after[key]}
            for key in sorted(before.keys() & after.keys())
            if before[key] != after[key]
        },
    }


def _print_diff(change: Diff, *, all_files: bool) -> None:
    if change.is_empty:
        output.data("same files")
        return
    for sign, colour, entries in (
        ("+", "green", change.added),
        ("-", "red", change.removed),
    ):
        for entry in _shown(entries, all_files):
            text = f"{sign} {output.cell(entry.path)}  {output.size(known_size(entry))}"
            output.data(text, colour=colour)
    for old, new in _shown(change.changed, all_files):
        sizes = f"{output.size(known_size(old))} → {output.size(known_size(new))}"
        text = f"~ {output.cell(new.path)}  {sizes}"
        output.data(text, colour="yellow")
    for old, new in _shown(change.renamed, all_files):
        size = output.size(known_size(new))
        text = f"> {output.cell(old.path)} → {output.cell(new.path)}  {size}"
        output.data(text, colour="cyan")
    output.data(
        f"{len(change.added):,} added, {len(change.removed):,} removed, "
        f"{len(change.changed):,} changed, {len(change.renamed):,} renamed"
    )
    kinds = (change.added, change.removed, change.changed, change.renamed)
    if not all_files and any(len(kind) > SHOWN for kind in kinds):
        output.note(f"Only the first {SHOWN} of each kind are listed; `--files` lists them all")


def _shown(found: Sequence[T], all_files: bool) -> Iterable[T]:
    return found if all_files else found[:SHOWN]


def _print_metadata_diff(metadata: dict[str, Any]) -> None:
    for sign, key in (("+", "added"), ("-", "removed")):
        for name, value in metadata[key].items():
            output.data(f"{sign} metadata.{output.cell(name)} = {output.cell(value)}")
    for name, values in metadata["changed"].items():
        before, after = output.cell(values["before"]), output.cell(values["after"])
        output.data(f"~ metadata.{output.cell(name)} = {before} → {after}")
