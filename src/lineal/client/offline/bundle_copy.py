"""Versions on their way into or out of a bundle, with the runs that logged them (CLI-2, LIN-3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeGuard

from lineal.client import term
from lineal.client.artifact.core import CLIENT_ID_LENGTH
from lineal.client.backend import Backend
from lineal.client.offline import copying
from lineal.client.offline.introducing import Introductions
from lineal.client.offline.places import CollectionPath, Place, collection_there
from lineal.client.pages import all_of
from lineal.client.public.graph import producer_of
from lineal.core.full_names import ArtifactPath
from lineal.core.ids import new_id
from lineal.core.lineage import Direction, LineageQuery, RunEdge, run_node, version_node
from lineal.core.names import LATEST
from lineal.core.records import (
    EdgeKind,
    MembershipId,
    RunKey,
    RunPatch,
    RunRecord,
    RunSpec,
    RunState,
    VersionId,
    VersionPatch,
    VersionRecord,
)
from lineal.errors import Exists, Gone, Invalid, LinealError, NotFound, UsageError

ORIGIN_KEY = "origin"
"""In the metadata of a carried run: where, when and by whom it was made."""
ENDED = "finished_at"
"""Key in it: when the run had ended, None if it had not or its copy is not ended yet."""
LoggedAgain = tuple[RunRecord, VersionRecord]
"""A run and a version that it logged, too; both as they are there."""


class Carried(NamedTuple):
    """A version, and what became of it on the other side."""

    source: VersionRecord
    target: VersionRecord
    aliases_elsewhere: tuple[str, ...]
    """Aliases that it has here, and another version has there."""


class BundleCopy:
    """Versions on their way, with the runs that logged them and the edges between them."""

    def __init__(
        self,
        source: Backend,
        target: Backend,
        place: Place,
        pack_files_up_to: int,
        moved: Mapping[CollectionPath, CollectionPath] | None = None,
    ) -> None:
        """moved: where collections are there now, by the names that `place` gives them."""
        self._source, self._target, self._place = source, target, place
        self._pack_files_up_to = pack_files_up_to
        self._moved = moved or {}
        self._introductions = Introductions(source)
        self._versions: dict[VersionId, VersionRecord] = {}
        self._runs: dict[RunKey, RunRecord | None] = {}
        self._begun: list[tuple[RunRecord, RunRecord]] = []
        """Runs as they are here and there, still to be ended there."""
        self._latest: dict[CollectionPath, MembershipId] = {}
        """Copies of what is the latest here."""
        self._retaken: set[CollectionPath] = set()
        """Collections there in which a copy has become the latest."""

    def run(self, versions: Sequence[VersionRecord]) -> list[Carried]:
        """Copy versions, and for links what they lead to as well; returns all in order."""
        links = sorted(
            (each for each in versions if each.is_link), key=lambda link: link.membership_id
        )
        ids = sorted({each.id for each in versions})
        carried = [self._carry(self._source.version_by_id(id)) for id in ids]
        self._copy_display_names(carried)
        linked = [each for link in links if (each := self._link(link)) is not None]
        again, closing = self._logged_again(carried)
        self._relog(again)
        runs = [(here, there) for here, there in self._runs.items() if there is not None]
        late = [(there, self._use(here, there)) for here, there in runs]
        for there, uses in late:
            self._note_uses(there, uses)
        self._relog(closing)
        for run, there in self._begun:
            self._finish(run, there)
        return carried + linked

    def _carry(self, version: VersionRecord) -> Carried:
        named = collection_there(version, self._place)
        place = self._moved.get(named, named)
        producer = producer_of(self._source, version.id)
        sources = copying.derived_from(self._source, version)
        spec = copying.draft_spec(
            self._source,
            version,
            client_id=new_id(CLIENT_ID_LENGTH),
            place=place,
            run=None,
            sources=(self._versions[each].id for each in sources if each in self._versions),
        )
        here = version.entity, version.project, version.collection
        spec = spec._replace(
            number=version.source_number, introduction=self._introductions.of(here)
        )
        how = {"pack_files_up_to": self._pack_files_up_to}
        if producer is not None:  # who cannot get the bytes leaves no run without its versions
            copying.send(self._source, version, self._target, spec, **how)
            run = self._run_there(producer)
            spec = spec._replace(run=None if run is None else run.key)
        before = self._latest_in(ArtifactPath(*place))
        copied = copying.copy_version(self._source, version, self._target, spec, **how)
        copied = self._versions[version.id] = self._settled(version, copied, before)
        elsewhere = tuple(alias for alias in spec.aliases if alias not in copied.aliases)
        return Carried(version, copied, elsewhere)

    def _link(self, link: VersionRecord) -> Carried | None:
        """Link what was carried; None, and that is said, where something else has that name."""
        copied = self._versions[link.id]
        entity, project = self._place(link.entity, link.project)
        if link.project != link.source_project:  # `--project` is for what is logged in one
            project = link.project
        aliases = copying.without_latest(link.aliases)
        there = ArtifactPath(entity, project, link.collection)
        elsewhere = tuple(alias for alias in aliases if self._is_elsewhere(there, alias, copied))
        free = [alias for alias in aliases if alias not in elsewhere]
        before = self._latest_in(there)
        try:
            linked = self._known_link(there, copied, free) or copying.copy_link(
                self._source, link, self._target, copied, (entity, project), free, link.number
            )
        except (Exists, Gone, Invalid) as error:
            term.warning(f"the link {link.path} does not come along: {error}")
            return None
        return Carried(link, self._settled(link, linked, before), elsewhere)

    def _known_link(
        self, there: ArtifactPath, copied: VersionRecord, aliases: Sequence[str]
    ) -> VersionRecord | None:
        """Return the link that an earlier import made, with these aliases: the latest stays."""
        for link in self._target.links(copied.id):
            if (link.entity, link.project, link.collection) == there[:3]:
                lacking = tuple(alias for alias in aliases if alias not in link.aliases)
                patch = VersionPatch(aliases_added=lacking)
                return self._target.update_version(link.membership_id, patch) if lacking else link
        return None

    def _is_elsewhere(self, there: ArtifactPath, alias: str, copied: VersionRecord) -> bool:
        try:
            return self._target.version(there._replace(ref=alias)).id != copied.id
        except NotFound:
            return False

    def _latest_in(self, collection: ArtifactPath) -> MembershipId | None:
        try:
            return self._target.version(collection._replace(ref=LATEST)).membership_id
        except NotFound:
            return None

    def _settled(
        self, here: VersionRecord, made: VersionRecord, before: MembershipId | None
    ) -> VersionRecord:
        """Let what is the latest here be so there, if copies have taken that from `before`.

        It need not be the last one: old content that was logged again is the latest (SEM-2).
        """
        collection = made.entity, made.project, made.collection
        is_latest = LATEST in made.aliases
        if LATEST in here.aliases:
            self._latest[collection] = made.membership_id
        if is_latest and made.membership_id != before:
            self._retaken.add(collection)
        right = self._latest.get(collection)
        holder = made.membership_id if is_latest else before
        if collection not in self._retaken or right is None or right == holder:
            return made
        self._target.update_version(right, VersionPatch(aliases_added=(LATEST,)))
        return self._target.version(ArtifactPath(*collection, f"v{made.number}"))

    def _copy_display_names(self, carried: Iterable[Carried]) -> None:
        """Give each collection the display name that it has here, if it has none there."""
        collections = {
            (each.source.entity, each.source.project, each.source.collection): each
            for each in carried
        }
        for each in collections.values():
            name = copying.display_name(self._source, each.source)
            if name is not None:
                copying.give_display_name(self._target, each.target, name)

    def _run_there(self, key: RunKey) -> RunRecord | None:
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

    def _logged_again(
        self, carried: Iterable[Carried]
    ) -> tuple[list[LoggedAgain], list[LoggedAgain]]:
        """Return what other runs logged that came along, and what of it closes a cycle (LIN-3).

        Not where nothing says who logged a version first: none of the others is to take its place.
        """
        followed: list[LoggedAgain] = []
        closing: list[LoggedAgain] = []
        for each in carried:
            logged = list(all_of(partial(self._source.runs_of, each.source.id, EdgeKind.LOGGED)))
            if len(logged) < 2 or producer_of(self._target, each.target.id) is None:
                continue
            root = version_node(each.source.id)
            near = self._source.lineage(root, LineageQuery(Direction.UPSTREAM, depth=1))
            plain = {edge.source for edge in near.edges if not edge.is_relogged}
            for run in logged:
                there = self._run_there(run.key)
                if there is not None:
                    pairs = followed if run_node(run.key) in plain else closing
                    pairs.append((there, each.target))
        return followed, closing

    def _relog(self, pairs: Iterable[LoggedAgain]) -> None:
        for there, copied in pairs:
            try:
                self._target.relog(there.key, copied.id)
            except LinealError as error:  # as of a use
                term.warning(f"that {there.run_id} logged {copied.path} is not said there: {error}")

    def _use(self, here: RunKey, there: RunRecord) -> list[RunEdge]:
        """Note what a run used; returns the edges that are left for the end.

        They close a cycle here, and do there once all others, which close none, are in place
        (LIN-10).
        """
        used = self._source.edges_of(here, EdgeKind.USED)
        self._note_uses(there, (edge for edge in used if not edge.is_relogged))
        return [edge for edge in used if edge.is_relogged]

    def _note_uses(self, there: RunRecord, used: Iterable[RunEdge]) -> None:
        for edge in used:
            copied = self._versions.get(edge.version)
            if copied is None:
                continue
            try:
                self._target.use(there.key, copied.id, alias=edge.alias)
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
