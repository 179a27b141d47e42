"""The SDK's `Artifact`, and what becomes of it: saved, deleted, linked, traced (ART-1…ART-46).

It is one class, as in W&B: `core.py` has its state, `attributes.py` what can be asked at any time,
`draft.py` the methods that fill a draft, `version.py` those that read a version. What takes more
than some lines is beside them: `adding`, `referring`, `download`, `verifying`, `data_objects`, and
the lineage in the public API's `graph`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lineal.client import session, term, values
from lineal.client.artifact.contents import Contents
from lineal.client.artifact.core import Stored
from lineal.client.artifact.draft import DraftMethods
from lineal.client.artifact.metadata import clean
from lineal.client.artifact.version import VersionMethods
from lineal.client.backend import Backend
from lineal.client.known_attributes import KnownAttributes
from lineal.client.values import text_change
from lineal.config import Settings
from lineal.core import full_names, names
from lineal.core.full_names import ArtifactPath
from lineal.core.records import AliasMove, VersionPatch, VersionRecord
from lineal.errors import ArtifactNotLoggedError

if TYPE_CHECKING:
    from lineal.client.public.catalog import Collection
    from lineal.client.public.graph import Graph
    from lineal.client.public.run import Run

LINK_INSTEAD = "its aliases name the link, and links are numbered as they come"
"""What to do where a link was given a version to become."""


class Artifact(KnownAttributes, DraftMethods, VersionMethods):
    """A set of files under one name; every change of content is a new version.

    Construction is local: no server, no account, no run (ART-1). `name` may be left out and is
    then chosen when the artifact is logged (SEED-6).

    name: letters, digits, `_`, `-` and `.`, at most 128. type: such as `dataset` or `model`; one
    per name. metadata: a JSON object of at most 1 MiB. incremental: add to the latest version
    rather than replace it. use_as, storage_region, digest_algorithm: W&B's, without
    effect. Raises Invalid (a ValueError).
    """

    # --- where it stands ---

    @property
    def collection(self) -> Collection:
        record = self._as_named_now()
        return self._collection(record.entity, record.project, record.collection)

    @property
    def source_collection(self) -> Collection:
        record = self._as_named_now()
        return self._collection(
            record.source_entity, record.source_project, record.source_collection
        )

    @property
    def source_artifact(self) -> Artifact:
        """The version a link leads to; itself if it is no link."""
        record = self._record
        return committed(self._home, self._home.version_by_id(record.id)) if self.is_link else self

    @property
    def linked_artifacts(self) -> list[Artifact]:
        """This version as seen through each of its links; empty for a link."""
        record = self._record
        if record.is_link:
            return []
        return [committed(self._home, link) for link in self._home.links(record.id)]

    # --- saving ---

    def save(self, project: str | None = None, settings: Settings | None = None) -> None:
        """Log a draft (by the active run, else by one of job type `auto`), or push changes of
        description, metadata, aliases, tags and ttl to a logged version (ART-40).

        project: of the new run; without it the one that `new_draft` began in, or the default.
        """
        if self._logged is not None:
            self._push()
            return
        from lineal.client import init  # runs log artifacts: a circle otherwise

        run = session.latest_run()
        if run is not None:
            run.log_artifact(self)
            return
        entity = None
        if self._base is not None:
            base = self._base.record
            entity, project = base.source_entity, project or base.source_project
        with init.init(entity=entity, project=project, job_type="auto", settings=settings) as run:
            run.log_artifact(self)

    def _push(self) -> None:
        record = self._record
        metadata, metadata_removed = values.changes(record.metadata, clean(self._metadata))
        patch = VersionPatch(
            description=text_change(record.description, self._description),
            metadata=metadata or None,
            metadata_removed=metadata_removed,
            aliases_added=tuple(set(names.aliases(self._aliases)) - set(record.aliases)),
            aliases_removed=tuple(set(record.aliases) - set(self._aliases)),
            tags_added=tuple(set(names.tags(self._tags)) - set(record.tags)),
            tags_removed=tuple(set(record.tags) - set(self._tags)),
        )
        changed, seconds = record, self._ttl_seconds
        if patch != VersionPatch():
            changed = self._home.update_version(record.membership_id, patch)
        if seconds != record.ttl_seconds:
            changed = self._home.set_version_ttl(record.membership_id, seconds)
        if changed is not record:
            self._become(self._home, changed)

    def new_draft(self) -> Artifact:
        """Return a draft with this version's content, to change and log as the next (ART-41).

        It belongs to the source's collection, also if that gets another name before it is logged.
        """
        record = self._home.version_by_id(self._record.id)  # of a link, what it leads to
        draft = Artifact._internal(record.source_collection, self._type)
        draft._is_internal = self._is_internal
        draft._description, draft._metadata = self._description, copy.deepcopy(self._metadata)
        draft._contents = Contents(self._contents.base)
        draft._base = Stored(self._home, record)
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete this version; of a link only the link (DEL-1).

        Raises Conflict while it has aliases (unless delete_aliases) or is linked elsewhere.
        """
        record = self._record
        if record.is_link:
            term.warning(f"{record.path} is a link; only the link is removed")
        self._home.delete_version(record.membership_id, delete_aliases=delete_aliases)
        if not record.is_link:
            self._become(self._home, self._home.version_by_id(record.id))

    def restore(self) -> None:
        """Undo the deletion of this version, as long as its content is there (DEL-7).

        Aliases come back unless they were set since. Raises Gone when it is too late.
        """
        record = self._home.version_by_id(self._record.id)  # its collection may be renamed
        path = ArtifactPath(
            record.source_entity,
            record.source_project,
            record.source_collection,
            f"v{record.source_number}",
        )
        self._become(self._home, self._home.restore_version(path).version)

    def link(self, target_path: str, aliases: str | Sequence[str] | None = None) -> Artifact:
        """Put this version into another collection, where it has a number of its own (REG-2)."""
        added = names.aliases(aliases)
        if self._logged is None:
            # before it is stored, what cannot be linked to is refused
            full_names.collection_path(target_path, "", None, instead=LINK_INSTEAD)
            self.save()
        record = self._record
        target = full_names.collection_path(
            target_path, record.source_entity, record.source_project, instead=LINK_INSTEAD
        )
        linked = self._home.link_version(record.id, target, added)
        return committed(self._home, linked)

    def unlink(self) -> None:
        """Remove this link; raises ValueError if it is none (DEL-2)."""
        self._home.unlink_version(self._record.membership_id)

    def alias_history(self, alias: str | None = None) -> list[AliasMove]:
        """Return where an alias of this collection (or every one) has been, oldest first."""
        return self._home.alias_history(self.collection._record.id, alias)

    def move_alias(self, alias: str, expected_version: str | None = None) -> None:
        """Put an alias on this version only if it is on `expected_version` now (ALI-6).

        expected_version: `vN`, or None for "on none yet". Raises Conflict otherwise, Invalid for
        what is neither. Changes that are not saved stay so.
        """
        record = self._record
        patch = VersionPatch(
            aliases_added=(names.alias(alias),), expected_version={alias: expected_version}
        )
        self._home.update_version(record.membership_id, patch)
        self._labelled([alias])

    # --- lineage ---

    def logged_by(self) -> Run | None:
        """Return the run that first logged this, None if none did or it was deleted (LIN-3)."""
        from lineal.client.public import graph  # it loads runs, which load this

        return graph.logged_by(self._home, self._record.id)

    def used_by(self) -> list[Run]:
        """Return all runs that used this, also through links (LIN-4)."""
        from lineal.client.public import graph

        return graph.used_by(self._home, self._record.id)

    def upstream(self, depth: int | None = None) -> Graph:
        """Return what this was made from (LIN-13)."""
        return self.lineage("upstream", depth)

    def downstream(self, depth: int | None = None) -> Graph:
        """Return what was made from this."""
        return self.lineage("downstream", depth)

    def lineage(
        self,
        direction: str = "both",
        depth: int | None = None,
        types: str | Sequence[str] | None = None,
        derived: bool = False,
    ) -> Graph:
        """Return the graph around this version in one request (LIN-13).

        direction: `upstream`, `downstream` or `both`. depth: steps. types: only versions of these
        types; dashed edges lead past others. derived: also what took files over from what, as
        dashed edges (LIN-11).
        """
        from lineal.client.public import graph
        from lineal.core.lineage import version_node

        root = version_node(self._record.id)
        return graph.graph(self._home, root, direction, depth, types, derived)

    def json_encode(self) -> dict[str, Any]:
        """Return the stub that stands for this artifact in a config (ART-45)."""
        return {
            "_type": "artifactVersion",
            "_version": "v0",
            "id": self.id,
            "version": self.source_version,
            "sequenceName": self._record.source_collection,
            "usedAs": None,
        }

    def __repr__(self) -> str:
        return f"<Artifact {self.name if self.is_draft() else self.qualified_name}>"

    # --- for the modules beside this one ---

    def __reduce__(self) -> tuple[Callable[..., Artifact], tuple[Backend, VersionRecord]]:
        """Send a logged version to another process, such as a worker of a data loader.

        What was changed and not saved stays behind. Raises ArtifactNotLoggedError for a draft.
        """
        if self._logged is None:
            raise ArtifactNotLoggedError(
                f"Draft {self.name!r} cannot be copied or sent to another process; log it first, "
                "or fill another Artifact with the same files"
            )
        return committed, (self._home, self._record)

    def _as_named_now(self) -> VersionRecord:
        """Return this version with the names that its collections have by now."""
        record = self._record
        if not record.is_link:
            return self._home.version_by_id(record.id)
        links = self._home.links(record.id)
        ours = (link for link in links if link.membership_id == record.membership_id)
        return next(ours, record)  # it was removed: whoever looks it up is told

    def _collection(self, entity: str, project: str, name: str) -> Collection:
        from lineal.client.public.catalog import Collection  # it loads this

        return Collection(self._home, self._home.collection(entity, project, name))


Artifact.__init__.__qualname__ = "Artifact.__init__"
"""As Python calls it where an argument is wrong; the method is that of `ArtifactCore`."""


def committed(backend: Backend, version: VersionRecord) -> Artifact:
    """Wrap a version that exists."""
    artifact = Artifact.__new__(Artifact)  # its names were valid when it was logged
    artifact._set_up()
    artifact._become(backend, version)
    return artifact
