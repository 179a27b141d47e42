"""`lineal artifact diff`: what changed from one version to another.

Files, what is in them where that is asked for, and metadata.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lineal.cli import artifact_diff_content, changes, describe, output
from lineal.cli.artifact_diff_content import Content
from lineal.cli.connect import connect, read_entries
from lineal.cli.options import After, Before, Exclude, Include, Json
from lineal.client import term
from lineal.client.artifact import patterns
from lineal.client.references import known_size
from lineal.core import manifest
from lineal.core.manifest import Diff, Entry

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact

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
    content: Annotated[
        bool,
        typer.Option(
            "--content", help="Also what changed in files: lines of texts, rows of tables"
        ),
    ] = False,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="COLUMN",
            help="--content, with rows found by this column; may be repeated",
        ),
    ] = None,
    include: Include = None,
    exclude: Exclude = None,
    json: Json = False,
) -> None:
    """Compare two versions: files added, removed, changed and renamed, and their metadata.

    Tables are those that were logged or added as such, CSV, TSV, lists of objects in JSON, JSON
    lines and, with pyarrow, Parquet. Without `--key` rows are compared as wholes, in any order.

    \b
    Example:
      lineal artifact diff vision/photos:v0 vision/photos
      lineal artifact diff vision/labels:v0 vision/labels --key image --include '*.csv'
    """
    connection = connect()
    a, b = connection.version(before), connection.version(after)
    backend = connection.backend
    old, new = manifest.different_segments(backend.manifest(a.id), backend.manifest(b.id))
    chosen = patterns.matches(include or [], exclude or [])
    change = manifest.diff(
        (entry for entry in read_entries(backend, a, old) if chosen(entry.path)),
        (entry for entry in read_entries(backend, b, new) if chosen(entry.path)),
    )
    metadata = changes.between(a.metadata, b.metadata)
    look = None
    if content or key:
        look = partial(
            artifact_diff_content.compare,
            connection.artifact(a),
            connection.artifact(b),
            key=key or [],
        )
    if json:
        shown = describe.diff(change)
        if look is not None:
            with term.progress("comparing", files=len(change.changed)) as progress:
                for pair, described in zip(change.changed, shown["changed"], strict=True):
                    described["content"] = artifact_diff_content.as_json(look(*pair))
                    progress.advance(files=1)
        shown["metadata"] = changes.as_json(metadata)
        output.as_json({"before": a.path, "after": b.path} | shown)
        return
    output.data(f"{a.path} → {b.path}", bold=True)
    _print_diff(change, all_files=files, look=look)
    changes.show("metadata", metadata)
    if not (change.is_empty and metadata.is_empty):
        _note_producers(connection.artifact(a), connection.artifact(b))


def _note_producers(before: Artifact, after: Artifact) -> None:
    """Say where to look for why the two differ, if different runs logged them."""
    runs = [artifact.logged_by() for artifact in (before, after)]
    old, new = ("/".join(run.path) if run is not None else None for run in runs)
    if old is not None and new is not None and old != new:
        compare = f"`lineal run diff {shlex.quote(old)} {shlex.quote(new)}`"
        output.note(f"Different runs logged them: {compare} tells these apart")


def _print_diff(
    change: Diff, *, all_files: bool, look: Callable[[Entry, Entry], Content] | None
) -> None:
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
        if look is not None:
            artifact_diff_content.show(look(old, new))
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
