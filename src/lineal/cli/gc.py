"""`lineal gc`: what can be freed, freeing it, and purging what must not stay (DEL-8, TTL-1)."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from lineal.cli import completing, output
from lineal.cli.connect import Connection, connect
from lineal.cli.options import Json, Yes
from lineal.core.full_names import names_version
from lineal.core.gc import CleanupPlan, Failure, Proof, Swept, VersionsStep
from lineal.core.records import PageRequest
from lineal.errors import Gone, IntegrityError, Invalid, Unavailable

SHOWN = 20
"""Versions, keys or failures that are listed; `--json` has more."""


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be freed and why the rest stays")
    ] = False,
    purge: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completing.artifacts,
            help="Delete a version (`name:v3`) or a whole collection (`name`) at once and for good",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Purge although it is linked or protected")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Free the space that nothing needs any more.

    Versions past their time expire; what was deleted longer ago than the undo period loses its
    bytes. On a terminal the plan is shown first. With `--purge` the content of one name goes at
    once, and the keys removed are listed and looked for again.

    \b
    Examples:
      lineal gc --dry-run
      lineal gc --yes
      lineal gc --purge vision/faces:v3
    """
    connection = connect()
    if purge is not None:
        if dry_run:
            raise Invalid("`--purge` has no `--dry-run`; `lineal storage NAME` shows what it holds")
        _purge(connection, purge, force=force, yes=yes, json=json)
        return
    if force:
        raise Invalid("`--force` belongs to `--purge NAME`")
    if dry_run:
        _print_plan(connection.backend.gc_plan(), json=json)
        return
    if not yes and not json and sys.stdin.isatty():
        plan = connection.backend.gc_plan()
        if plan.is_empty:
            output.note("Nothing to free")
            _note_what_waits(connection)
            return
        _print_plan(plan, json=False)
        output.confirm("Do this?", yes=False)
    _sweep(connection, json=json)


# --- plan ---------------------------------------------------------------------------------------


def _print_plan(plan: CleanupPlan, *, json: bool) -> None:
    if json:
        output.as_json(_plan_as_json(plan))
        return
    fate = (
        "losing all content at once" if plan.is_final else "restorable until the undo period ends"
    )
    _print_versions(f"to expire, {fate}", plan.expire)
    _print_versions("whose undo period is over, to lose all content", plan.release)
    output.fields(
        [
            ("deleted runs that lose files and lines", plan.runs or None),
            ("unfinished uploads that expired", plan.drafts or None),
            ("manifests", plan.manifests or None),
            ("segments", plan.segments or None),
            ("files that nothing needs", _amount(plan.condemn)),
            ("files left by an earlier sweep", _amount(plan.delete)),
            ("files that belong to nothing", _amount(plan.strays)),
        ]
    )
    output.data(f"{output.size(plan.freed_bytes)} would be freed, {_kept_words(plan)}")
    for kept in plan.kept:
        until = f" until {output.moment(kept.until)} or later" if kept.until else ""
        blobs = output.plural(kept.blobs.count, "file")
        size = output.size(kept.blobs.size_bytes)
        output.data(f"  {size:>10}  {blobs}: {kept.reason}{until}")
    if plan.fresh_strays.count:
        size = output.size(plan.fresh_strays.size_bytes)
        output.data(f"  {size:>10}  too young to say that nothing will need them")
    if plan.foreign:
        output.note(f"Not ours, and left alone: {', '.join(plan.foreign[:SHOWN])}")


def _kept_words(plan: CleanupPlan) -> str:
    return f"{output.size(plan.kept_bytes)} {'stay' if plan.kept_bytes else 'stays'}"


def _amount(amount: Any) -> str | None:
    return f"{amount.count:,} ({output.size(amount.size_bytes)})" if amount.count else None


def _size(size_bytes: int) -> str | None:
    return output.size(size_bytes) if size_bytes else None


def _print_versions(what: str, step: VersionsStep) -> None:
    if not step.total.count:
        return
    output.data(f"{output.plural(step.total.count, 'version')} {what}:")
    for each in step.versions[:SHOWN]:
        shared = f", {output.size(each.shared_bytes)} stay" if each.shared_bytes else ""
        needed = f" (needed by {', '.join(each.shared_with)})" if each.shared_with else ""
        output.data(f"  {each.name}: frees {output.size(each.freed_bytes)}{shared}{needed}")
    if step.total.count > SHOWN:
        output.data(f"  … and {step.total.count - SHOWN:,} more")


def _plan_as_json(plan: CleanupPlan) -> dict[str, Any]:
    return asdict(plan) | {"freed_bytes": plan.freed_bytes, "kept_bytes": plan.kept_bytes}


# --- sweep --------------------------------------------------------------------------------------


def _sweep(connection: Connection, *, json: bool) -> None:
    if json or not sys.stderr.isatty():
        swept = connection.backend.gc_sweep()
    else:
        with output.counting("Freeing") as count:
            swept = connection.backend.gc_sweep(count)
    if json:
        output.as_json(asdict(swept) | {"freed_bytes": swept.freed_bytes})
    else:
        _print_swept(swept)
        _note_what_waits(connection)
    if swept.failed:
        raise Unavailable(
            f"{output.plural(swept.failed, 'file')} could not be deleted; the next sweep tries "
            "again"
        )


def _print_swept(swept: Swept) -> None:
    output.fields(
        [
            ("versions expired", swept.expired or None),
            ("versions released", swept.released or None),
            ("runs released", swept.runs or None),
            ("uploads given up", swept.drafts or None),
            ("files deleted", _amount(swept.deleted)),
            ("files that belonged to nothing", _amount(swept.strays)),
            ("the database's file shrank by", _size(swept.compacted_bytes)),
        ]
    )
    _print_failures(swept.failures)
    output.data(f"Freed {output.size(swept.freed_bytes)}")


def _note_what_waits(connection: Connection) -> None:
    """Say why bytes stay that somebody just deleted."""
    newest = connection.backend.deletions(PageRequest(SHOWN, with_total=False)).items
    if any(deletion.restorable_until for deletion in newest):
        output.note(
            "What was deleted or expired keeps its bytes as long as it can be restored; "
            "`lineal gc --dry-run` says how many, and until when"
        )


def _print_failures(failures: tuple[Failure, ...]) -> None:
    reasons: dict[str, list[str]] = {}
    for failure in failures:
        reasons.setdefault(failure.why, []).append(failure.key)
    for why, keys in list(reasons.items())[:SHOWN]:
        others = " and others" if len(keys) > 1 else ""
        output.note(f"  {keys[0]}{others}: {why}")


# --- purge --------------------------------------------------------------------------------------


def _purge(connection: Connection, name: str, *, force: bool, yes: bool, json: bool) -> None:
    path = connection.artifact_path(name)
    all_versions = not names_version(name)
    what = str(path)
    with suppress(Gone):  # what was deleted before may be purged
        if all_versions:
            what = f"{path.without_ref} with all its versions"
            connection.backend.collection(path.entity, path.project, path.name)
        else:
            connection.backend.version(path)
    output.confirm(f"Delete the content of {what} at once? Nothing brings it back.", yes=yes)
    proof = connection.backend.purge(path, all_versions=all_versions, force=force)
    if json:
        said = asdict(replace(proof, removed=())) | {"is_complete": proof.is_complete}
        del said["removed"]  # there may be a million: they come last, one by one
        output.as_json_ending(said, "removed", proof.removed)
    else:
        _print_proof(proof)
    if proof.failures:
        raise IntegrityError(
            f"{output.plural(len(proof.failures), 'key')} could not be removed; "
            f"see why, and run `lineal gc --purge {shlex.quote(name)}` again"
        )


def _print_proof(proof: Proof) -> None:
    output.data(
        f"Purged {proof.what}: {output.plural(len(proof.removed), 'key')}, "
        f"{output.size(proof.removed_bytes)}, each looked for again and gone"
    )
    for key in proof.removed:
        output.data(f"  {key}")
    tombstones = ", ".join(proof.versions[:SHOWN]) + (" …" if len(proof.versions) > SHOWN else "")
    output.note(f"Tombstones stay in the lineage: {tombstones}")
    for kept in proof.kept:
        output.data(
            f"  stays: {kept.key}, {output.size(kept.size_bytes)}, needed by "
            f"{', '.join(kept.needed_by)}"
        )
    _print_failures(proof.failures)
