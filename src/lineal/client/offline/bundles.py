"""Bundles: versions in a folder of their own, to be carried where no network reaches (CLI-2).

A bundle is an instance like that of an offline run. Export and import are one copy between two
backends, in opposite directions; both may be killed and repeated. docs/design/008-bundles.md
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.embedded.backend import open_embedded
from lineal.client.offline import checked_json, opening, places
from lineal.client.offline.bundle_copy import BundleCopy, Carried
from lineal.client.offline.places import CollectionPath, Place, collection_there, path_of
from lineal.client.public.graph import producer_of
from lineal.config import Settings, default_entity
from lineal.core import full_names, names
from lineal.core.lineage import Direction, LineageQuery, number_of, run_node, version_node
from lineal.core.records import (
    CollectionKind,
    EdgeKind,
    PageRequest,
    VersionId,
    VersionQuery,
    VersionRecord,
)
from lineal.errors import (
    Gone,
    IntegrityError,
    InTheWay,
    Invalid,
    LinealError,
    NotFound,
    Unavailable,
    UsageError,
)
from lineal.files.writing import write_whole
from lineal.home import BUNDLE, home_of

ABOUT_FILE = BUNDLE
FORMAT = 1


@dataclass(frozen=True)
class About:
    """What the folder says of itself."""

    entity: str
    is_default_entity: bool
    """Nobody asked for this entity; on another machine the owner there takes its place."""
    versions: tuple[str, ...] = ()
    """Paths of all that is in it."""
    is_complete: bool = False
    format: int = FORMAT


def export(
    source: Backend,
    versions: Sequence[VersionRecord],
    folder: str,
    *,
    settings: Settings,
    upstream: bool = False,
) -> list[Carried]:
    """Put versions into a bundle, made if it is not there; returns all that it got, in order.

    upstream: also every version that they were made from. What a bundle has stays in it.
    Raises InTheWay if the folder holds anything else, MissingFile for content that is lost.
    """
    folder = os.path.abspath(folder)
    _make(folder)
    with opening.alone_in(folder):
        about = _begun(folder, settings)
        target = open_embedded(dataclasses.replace(settings, home=folder, entity=about.entity))
        try:
            chosen = _with_upstream(source, versions) if upstream else versions
            pack_files_up_to = settings.pack_files_up_to
            carried = BundleCopy(source, target, lambda *here: here, pack_files_up_to).run(chosen)
        finally:
            target.close()
        paths = dict.fromkeys([*about.versions, *(each.target.path for each in carried)])
        _describe(folder, dataclasses.replace(about, versions=tuple(paths), is_complete=True))
    return carried


def import_(
    folder: str,
    target: Backend,
    *,
    settings: Settings,
    entity: str | None = None,
    project: str | None = None,
) -> list[Carried]:
    """Copy all versions of a bundle into an instance; returns them in order.

    entity, project: where to put them instead of where they say. Doing it again changes nothing.
    Raises NotFound if it is no bundle, Unavailable if its export was interrupted, Invalid if two
    collections would become one or any is of another type there, IntegrityError if its database
    is not what Lineal writes, before anything is written; IntegrityError or SourceChanged for
    bytes that are damaged.
    """
    if entity is not None:
        names.entity_name(entity)
    if project is not None:
        names.project_name(project)
    folder = os.path.abspath(folder)
    if not os.path.lexists(os.path.join(folder, ABOUT_FILE)):
        raise _no_bundle(folder)
    opening.require_plain(folder)
    about = read_about(folder)
    if not about.is_complete:
        raise Unavailable(f"The export into {folder} was interrupted; repeat it, then import")

    def place(from_entity: str, from_project: str) -> tuple[str, str]:
        is_owner = about.is_default_entity and from_entity == about.entity
        return entity or (target.entity if is_owner else from_entity), project or from_project

    inside = dataclasses.replace(settings, home=folder, entity=about.entity)
    database = home_of(inside).database
    if not os.path.exists(database) or not os.path.getsize(database):
        raise NotFound(f"Bundle {folder} has lost its database; export it again")
    with opening.opened_apart(inside) as source:  # it may be on a medium that is read-only
        versions = _contents(source, about, folder)
        _require_apart(versions, place)
        _require_fitting(versions, place, target)
        moved = places.moved(places.types_there(versions, place), target)
        copy = BundleCopy(source, target, place, settings.pack_files_up_to, moved)
        with _blaming(folder, target):
            return copy.run(versions)


def _contents(source: Backend, about: About, folder: str) -> list[VersionRecord]:
    """Return the versions of a bundle; raises IntegrityError unless all are what it says."""
    try:
        versions = [
            source.version(full_names.artifact_path(path, about.entity, ""))
            for path in about.versions
        ]
        for version in versions:
            source.manifest(version.id)
    except (NotFound, Invalid) as error:
        raise _unfit(folder, error) from error
    return versions


@contextmanager
def _blaming(folder: str, target: Backend) -> Iterator[None]:
    """Say of which bundle an error is, unless it says itself what is damaged."""
    try:
        yield
    except UsageError:
        raise  # of what is there, not of what comes
    except (Invalid, IntegrityError) as error:
        known = os.path.realpath(folder), target.url.removeprefix("file://")
        if any(place in error.message for place in known):
            raise
        raise _unfit(folder, error) from error


def _unfit(folder: str, error: LinealError) -> IntegrityError:
    return IntegrityError(
        f"Bundle {folder} is damaged ({error.message}); copy it here once more, or export it again"
    )


def read_about(folder: str) -> About:
    """Raises NotFound unless the folder is a bundle, Unavailable for one of a later Lineal."""
    try:
        with open(os.path.join(folder, ABOUT_FILE), encoding="utf-8") as file:
            said = json.load(file)
        if isinstance(said, dict) and type(said.get("format")) is int and said["format"] > FORMAT:
            raise Unavailable(f"Bundle {folder} was made by a newer Lineal; install that")
        return checked_json.read(About, said)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_bundle(folder) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _no_bundle(folder, str(error)) from error


def _no_bundle(folder: str, why: str | None = None) -> NotFound:
    if os.path.isdir(folder):
        why = why or f"it has no {ABOUT_FILE}"
    elif os.path.exists(folder):
        why = "it is a file; unpack an archive first"
    else:
        why = "there is no such folder"
    return NotFound(f"{folder} is not a bundle ({why}); `lineal artifact export` makes one")


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InTheWay(f"{folder} is no folder, or lies below a file; name another") from error
    except OSError as error:
        raise Unavailable(
            f"Cannot make the folder {folder}: {error.strerror}. Name one you may write to"
        ) from error


def _begun(folder: str, settings: Settings) -> About:
    """Return what a bundle says of itself; a new one, or one that goes on, is incomplete now."""
    if os.path.exists(os.path.join(folder, ABOUT_FILE)):
        about = dataclasses.replace(read_about(folder), is_complete=False)
    elif os.listdir(folder):
        raise InTheWay(f"Folder {folder} holds other things; name one that is new or empty")
    else:
        about = About(default_entity(settings), settings.entity is None)
    _describe(folder, about)
    return about


def _describe(folder: str, about: About) -> None:
    write_whole(os.path.join(folder, ABOUT_FILE), json.dumps(asdict(about), indent=2).encode())


def _require_apart(versions: Iterable[VersionRecord], place: Place) -> None:
    """Raise Invalid where collections of two projects would be one."""
    sources: dict[CollectionPath, tuple[str, str]] = {}
    for version in versions:
        here = (version.source_entity, version.source_project)
        there = collection_there(version, place)
        if sources.setdefault(there, here) != here:
            raise Invalid(
                f"{'/'.join(here)}/{there[2]} and {'/'.join(sources[there])}/{there[2]} would both "
                f"become {'/'.join(there)}; import without `--entity` and `--project`"
            )


def _require_fitting(versions: Iterable[VersionRecord], place: Place, target: Backend) -> None:
    """Raise Invalid naming each collection whose name there belongs to something else."""
    unfit = [
        f"{'/'.join(there)} {why}"
        for there, type in places.types_there(versions, place).items()
        if (why := _misfit(target, there, type)) is not None
    ]
    if unfit:
        raise Invalid(
            f"Nothing was imported: {'; '.join(unfit)}. `--project` imports into another project"
        )


def _misfit(target: Backend, there: CollectionPath, type: str) -> str | None:
    """Say what keeps a collection from taking versions of a type; None if nothing does."""
    try:
        found = target.collection(*there)
    except Gone:  # its type stays while it is hidden
        try:
            target.versions(VersionQuery(*there, type=type), PageRequest(1, with_total=False))
        except Invalid as error:
            return f"was deleted and keeps its type ({error.message})"
        return None
    except NotFound:
        return None
    if path_of(found) != there:  # moved: the name is free
        return None
    if found.kind is not CollectionKind.SEQUENCE:
        return "holds links only"
    return None if found.type == type else f"has type `{found.type}`, not `{type}`"


def _with_upstream(source: Backend, versions: Sequence[VersionRecord]) -> list[VersionRecord]:
    """Add every version that some were made from, as far as they are not deleted."""
    looked_at: set[VersionId] = set()
    found, waiting = list(versions), list(versions)
    while waiting:
        version = waiting.pop()
        if version.id not in looked_at:
            looked_at.add(version.id)
            made_from = [*map(source.version_by_id, _made_from(source, version))]
            found += made_from
            waiting += made_from
    return found


def _made_from(source: Backend, version: VersionRecord) -> set[VersionId]:
    """Return what the run that logged a version used, and what it took files over from."""
    producer = producer_of(source, version.id)
    root = version_node(version.id)
    made = {root} if producer is None else {root, run_node(producer)}
    graph = source.lineage(root, LineageQuery(Direction.UPSTREAM, depth=2, derived=True))
    nodes = {node.id: node for node in graph.nodes}
    # a graph is cut where it is large
    used = [] if producer is None else source.edges_of(producer, EdgeKind.USED)
    found = {edge.version for edge in used}
    for edge in graph.edges:
        if edge.target in made and edge.kind in (EdgeKind.USED, EdgeKind.DERIVED):
            if nodes[edge.source].is_deleted:
                term.warning(f"{nodes[edge.source].name} was deleted and is left out")
            else:
                found.add(VersionId(number_of(edge.source)))
    return found
