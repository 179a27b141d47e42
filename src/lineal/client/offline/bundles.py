"""Bundles: versions in a folder of their own, to be carried where no network reaches (CLI-2).

A bundle is an instance like that of an offline run. Export and import are one copy between two
backends, in opposite directions; both may be killed and repeated. docs/design/008-bundles.md
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeGuard

from lineal.client import term
from lineal.client.artifact.draft import CLIENT_ID_LENGTH
from lineal.client.backend import Backend, all_of
from lineal.client.embedded import open_embedded
from lineal.client.offline import copying, fields
from lineal.config import Settings, default_entity
from lineal.core import names
from lineal.core.ids import new_id
from lineal.core.lineage import Direction, LineageQuery
from lineal.core.names import LATEST
from lineal.core.records import (
    CollectionKind,
    CollectionPatch,
    DraftSpec,
    EdgeKind,
    PageRequest,
    RunKey,
    RunPatch,
    RunRecord,
    RunSpec,
    RunState,
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
from lineal.files import write_whole
from lineal.home import BUNDLE, home_of

ABOUT_FILE = BUNDLE
FORMAT = 1
ORIGIN_KEY = "origin"
"""In the metadata of a carried run: where, when and by whom it was made."""
ENDED = "finished_at"
"""Key in it: when the run had ended, None if it had not or its copy is not ended yet."""
Place = Callable[[str, str], tuple[str, str]]
"""From entity and project here to those there."""
Path = tuple[str, str, str]
"""Entity, project and name of a collection."""


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


class Carried(NamedTuple):
    """A version, and what became of it on the other side."""

    source: VersionRecord
    target: VersionRecord
    aliases_elsewhere: tuple[str, ...]
    """Aliases that it has here, and another version has there."""


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
    with copying.alone_in(folder):
        about = _begun(folder, settings)
        target = open_embedded(dataclasses.replace(settings, home=folder, entity=about.entity))
        try:
            chosen = _with_upstream(source, versions) if upstream else versions
            pack_files_up_to = settings.pack_files_up_to
            carried = _Carry(source, target, lambda *here: here, pack_files_up_to).run(chosen)
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
    copying.require_plain(folder)
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
    with copying.opened_apart(inside) as source:  # it may be on a medium that is read-only
        versions = _contents(source, about, folder)
        _require_apart(versions, place)
        _require_fitting(versions, place, target)
        moved = _moved(versions, place, target)
        carry = _Carry(source, target, place, settings.pack_files_up_to, moved)
        try:
            return carry.run(versions)
        except UsageError:
            raise  # of what is there, not of what comes
        except (Invalid, IntegrityError) as error:
            known = os.path.realpath(folder), target.url.removeprefix("file://")
            if any(place in error.message for place in known):  # it says whose it is
                raise
            raise _unfit(folder, error) from error


def _contents(source: Backend, about: About, folder: str) -> list[VersionRecord]:
    """Return the versions of a bundle; raises IntegrityError unless all are what it says."""
    try:
        versions = [
            source.version(names.artifact_path(path, about.entity, "")) for path in about.versions
        ]
        for version in versions:
            source.manifest(version.id)
    except (NotFound, Invalid) as error:
        raise _unfit(folder, error) from error
    return versions


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
        return fields.read(About, said)
    except (OSError, ValueError, RecursionError) as error:
        raise NotFound(
            f"{folder} is not a bundle ({error}); `lineal artifact export` makes one"
        ) from error


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
    sources: dict[Path, tuple[str, str]] = {}
    for version in versions:
        here = (version.source_entity, version.source_project)
        there = (*place(*here), version.source_collection)
        if sources.setdefault(there, here) != here:
            raise Invalid(
                f"{'/'.join(here)}/{there[2]} and {'/'.join(sources[there])}/{there[2]} would both "
                f"become {'/'.join(there)}; import without `--entity` and `--project`"
            )


def _require_fitting(versions: Iterable[VersionRecord], place: Place, target: Backend) -> None:
    """Raise Invalid naming each collection whose name there belongs to something else."""
    unfit = [
        f"{'/'.join(there)} {why}"
        for there, type in _types_there(versions, place).items()
        if (why := _misfit(target, there, type)) is not None
    ]
    if unfit:
        raise Invalid(
            f"Nothing was imported: {'; '.join(unfit)}. `--project` imports into another project"
        )


def _misfit(target: Backend, there: Path, type: str) -> str | None:
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
    if (found.entity, found.project, found.name) != there:  # moved: the name is free
        return None
    if found.kind is not CollectionKind.SEQUENCE:
        return "holds links only"
    return None if found.type == type else f"has type `{found.type}`, not `{type}`"


def _moved(versions: Iterable[VersionRecord], place: Place, target: Backend) -> dict[Path, Path]:
    """Return where collections are there now that moved away from the names they would get.

    One that another of these collections would get stays apart from it, under the old name.
    """
    types = _types_there(versions, place)
    moved: dict[Path, Path] = {}
    for there, type in types.items():
        try:
            found = target.collection(*there)
        except NotFound:
            continue
        now = (found.entity, found.project, found.name)
        is_same = found.kind is CollectionKind.SEQUENCE and found.type == type
        if is_same and now not in types and now not in moved.values():
            moved[there] = now
    return moved


def _types_there(versions: Iterable[VersionRecord], place: Place) -> dict[Path, str]:
    return {
        (*place(each.source_entity, each.source_project), each.source_collection): each.type
        for each in versions
    }


def _with_upstream(source: Backend, versions: Sequence[VersionRecord]) -> list[VersionRecord]:
    """Add every version that some were made from, as far as they are not deleted."""
    found: dict[VersionId, VersionRecord] = {}
    waiting = list(versions)
    while waiting:
        version = waiting.pop()
        if version.id not in found:
            found[version.id] = version
            waiting += map(source.version_by_id, _made_from(source, version))
    return list(found.values())


def _made_from(source: Backend, version: VersionRecord) -> set[VersionId]:
    """Return what the run that logged a version used, and what it took files over from."""
    root, producer = f"version:{version.id}", f"run:{_producer(source, version)}"
    graph = source.lineage(root, LineageQuery(Direction.UPSTREAM, depth=2, derived=True))
    nodes = {node.id: node for node in graph.nodes}
    found = set()
    for edge in graph.edges:
        is_used = edge.kind is EdgeKind.USED and edge.target == producer
        if is_used or (edge.kind is EdgeKind.DERIVED and edge.target == root):
            if nodes[edge.source].is_deleted:
                term.warning(f"{nodes[edge.source].name} was deleted and is left out")
            else:
                found.add(VersionId(int(edge.source.partition(":")[2])))
    return found


def _producer(source: Backend, version: VersionRecord) -> RunKey | None:
    """Return the run that first logged a version, None if none did or it was deleted (LIN-3)."""
    root = f"version:{version.id}"
    near = source.lineage(root, LineageQuery(Direction.UPSTREAM, depth=1))
    for edge in near.edges:  # the oldest first
        if edge.kind is EdgeKind.LOGGED and edge.target == root and not edge.is_relogged:
            node = next(node for node in near.nodes if node.id == edge.source)
            return None if node.is_deleted else RunKey(int(edge.source.partition(":")[2]))
    return None


def _is_new(target: Backend, there: Path) -> bool:
    """Tell whether nobody has a version under a name yet, nor had a collection that was deleted."""
    try:
        found = target.collection(*there)
    except NotFound as error:
        return not isinstance(error, Gone)
    is_moved = (found.entity, found.project, found.name) != there
    return is_moved or found.version_count == 0


def _used(source: Backend, run: RunKey) -> list[VersionRecord]:
    return list(all_of(lambda page: source.versions_of(run, EdgeKind.USED, page)))


class _Carry:
    """Versions on their way, with the runs that logged them and the edges between them."""

    def __init__(
        self,
        source: Backend,
        target: Backend,
        place: Place,
        pack_files_up_to: int,
        moved: Mapping[Path, Path] | None = None,
    ) -> None:
        """moved: where collections are there now, by the names that `place` gives them."""
        self._source, self._target, self._place = source, target, place
        self._pack_files_up_to = pack_files_up_to
        self._moved = moved or {}
        self._introduced: set[Path] = set()
        """Collections there of which all is said by now."""
        self._versions: dict[VersionId, VersionRecord] = {}
        self._runs: dict[RunKey, RunRecord | None] = {}
        self._begun: list[tuple[RunRecord, RunRecord]] = []
        """Runs as they are here and there, still to be ended there."""

    def run(self, versions: Iterable[VersionRecord]) -> list[Carried]:
        carried = [self._carry(each) for each in sorted(versions, key=lambda each: each.id)]
        self._name(carried)
        for here, there in self._runs.items():
            if there is not None:
                self._use(here, there)
        for run, there in self._begun:
            self._finish(run, there)
        return carried

    def _carry(self, version: VersionRecord) -> Carried:
        named = (
            *self._place(version.source_entity, version.source_project),
            version.source_collection,
        )
        entity, project, collection = self._moved.get(named, named)
        producer = _producer(self._source, version)
        run = None if producer is None else self._run(producer)
        sources = copying.derived_from(self._source, version)
        # a link has aliases of its own; the version it leads to is what is carried
        version = self._source.version_by_id(version.id) if version.is_link else version
        spec = DraftSpec(
            client_id=new_id(CLIENT_ID_LENGTH),
            entity=entity,
            project=project,
            collection=collection,
            type=version.type,
            manifest=self._source.manifest(version.id),
            run=None if run is None else run.key,
            description=version.description,
            metadata=version.metadata,
            aliases=tuple(alias for alias in version.aliases if alias != LATEST),
            tags=version.tags,
            history_step=version.history_step,
            sources=tuple(
                sorted(self._versions[each].id for each in sources if each in self._versions)
            ),
            ttl_seconds=version.ttl_seconds,
            number=version.source_number,
        )
        self._introduce(version, spec)
        copied = copying.copy_version(
            self._source, version, self._target, spec, pack_files_up_to=self._pack_files_up_to
        )
        self._versions[version.id] = copied
        elsewhere = tuple(alias for alias in spec.aliases if alias not in copied.aliases)
        return Carried(version, copied, elsewhere)

    def _introduce(self, version: VersionRecord, spec: DraftSpec) -> None:
        """Say of a collection that is new there what is said of it here; before it has versions.

        After them, an import that was killed could not tell a new one from one that was there.
        """
        there = (spec.entity, spec.project, spec.collection)
        if there in self._introduced:
            return
        self._introduced.add(there)
        if not _is_new(self._target, there):
            return
        self._target.begin(spec)  # makes it; to copy the version begins in the same way
        found = self._target.collection(*there)
        here = self._source.collection(version.entity, version.project, version.collection)
        patch = CollectionPatch(
            description=None if found.description else here.description or None,
            tags=None if found.tags else here.tags or None,
        )
        if patch != CollectionPatch():
            self._target.update_collection(found.id, patch)
        if here.ttl_seconds is not None and found.ttl_seconds is None:
            self._target.set_collection_ttl(found.id, here.ttl_seconds)

    def _name(self, carried: Iterable[Carried]) -> None:
        """Give each collection the display name that it has here, if it has none there."""
        collections = {
            (each.source.entity, each.source.project, each.source.collection): each
            for each in carried
        }
        for each in collections.values():
            name = copying.display_name(self._source, each.source)
            if name is not None:
                copying.give_display_name(self._target, each.target, name)

    def _run(self, key: RunKey) -> RunRecord | None:
        if key not in self._runs:
            self._runs[key] = self._known_or_started(self._source.run_by_key(key))
        return self._runs[key]

    def _known_or_started(self, run: RunRecord) -> RunRecord | None:
        """Return what a run is there, begun if it is not; None if another one has its id."""
        entity, project = self._place(run.entity, run.project)
        origin = _origin(run)
        try:
            there = self._target.run(entity, project, run.run_id)
        except Gone as error:
            term.warning(f"run {run.run_id} does not come along: {error}")
            return None
        except NotFound:
            spec = copying.run_spec(run, entity, project, run.run_id)
            metadata = {**run.metadata, ORIGIN_KEY: _unended(origin)}
            there = self._started(spec._replace(config=run.config, metadata=metadata))
        known = _origin(there)
        if known["created_at"] != origin["created_at"]:
            term.warning(
                f"another run is {entity}/{project}/{run.run_id} there, so what logged "
                "the version here is not said there"
            )
            return None
        if ORIGIN_KEY in there.metadata and _is_due(there, known, origin):
            self._begun.append((run, there))
        return there

    def _started(self, spec: RunSpec) -> RunRecord:
        """Begin the copy of a run, unless another import was faster."""
        try:
            return self._target.start_run(spec).run
        except UsageError:
            return self._target.run(spec.entity, spec.project, spec.run_id)

    def _use(self, here: RunKey, there: RunRecord) -> None:
        for version in _used(self._source, here):
            copied = self._versions.get(version.id)
            if copied is None:
                continue
            try:
                self._target.use(there.key, copied.id, alias=None)
            except LinealError as error:  # the same content may stand otherwise there
                term.warning(f"that {there.run_id} used {copied.path} is not said there: {error}")

    def _finish(self, run: RunRecord, there: RunRecord) -> None:
        summary = copying.with_tables_at(
            run.summary, f"{run.entity}/{run.project}", f"{there.entity}/{there.project}"
        )
        origin = _origin(run)
        is_ended = there.state not in copying.BEGUN
        patch = RunPatch(
            config=run.config or None,
            summary=summary or None,
            metadata={ORIGIN_KEY: _unended(origin)},
            git_commit=run.git_commit,
            git_remote=run.git_remote,
            state=RunState.RUNNING if is_ended else None,
        )
        there = self._target.update_run(there.key, patch)
        copying.finish(self._target, run, there)
        # last, so that one without it is still to be ended
        self._target.update_run(there.key, RunPatch(metadata={ORIGIN_KEY: origin}))


def _origin(run: RunRecord) -> dict[str, Any]:
    """Return what a run was when it was made and ended, here or before it was carried here."""
    own = {
        "run": run.path,
        "user": run.user,
        "created_at": run.created_at.isoformat(),
        ENDED: run.finished_at and run.finished_at.isoformat(),
    }
    found = run.metadata.get(ORIGIN_KEY)
    return found if _is_origin(found) else own


def _is_origin(found: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether it is what an import notes; anybody may write into the metadata of a run."""
    if not isinstance(found, dict):
        return False
    moments = found.get("created_at"), found.get(ENDED)
    try:
        return isinstance(moments[0], str) and all(
            each is None or datetime.fromisoformat(each).tzinfo is not None for each in moments
        )
    except (TypeError, ValueError):
        return False


def _unended(origin: dict[str, Any]) -> dict[str, Any]:
    return origin | {ENDED: None}


def _is_due(there: RunRecord, known: dict[str, Any], origin: dict[str, Any]) -> bool:
    """Tell whether the copy of a run is to be ended, maybe once more.

    It is if an earlier attempt was killed, or if the run has ended since it was copied. A copy
    that somebody goes on with there is left alone.
    """
    before, now = known.get(ENDED), origin.get(ENDED)
    if there.state in copying.BEGUN:
        return before is None
    if now is None:
        return False
    return before is None or datetime.fromisoformat(before) < datetime.fromisoformat(now)
