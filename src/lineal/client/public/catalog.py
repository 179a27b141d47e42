"""Projects, artifact types and collections as the public API shows them (API-5, API-6, API-13)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lineal.client.artifact import ttl as ttls
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.artifact.ttl import ArtifactTTL
from lineal.client.backend import Backend
from lineal.client.known_attributes import KnownAttributes
from lineal.client.public.lists import PAGE_SIZE, LazyList
from lineal.client.public.user import User
from lineal.client.shown import Shown
from lineal.client.values import as_filter, iso, text_change
from lineal.core import file_paths, names
from lineal.core.records import (
    CollectionKind,
    CollectionPatch,
    CollectionQuery,
    CollectionRecord,
    Page,
    PageRequest,
    ProjectRecord,
    VersionQuery,
    VersionRecord,
)
from lineal.core.retention import Restored, Selection, selection_from_json
from lineal.errors import Invalid, NotFound
from lineal.nearest import did_you_mean

if TYPE_CHECKING:
    from lineal.client.public.sweep import Sweep

Retention = Selection | Mapping[str, Any] | None


class Project(KnownAttributes, Shown):
    """One project; it holds runs and collections."""

    def __init__(self, backend: Backend, record: ProjectRecord) -> None:
        self._backend = backend
        self._record = record

    @property
    def id(self) -> int:
        return self._record.id

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def path(self) -> list[str]:
        return [self.entity, self.name]

    @property
    def url(self) -> str:
        return f"{self._backend.url}/{self.entity}/{self.name}"

    @property
    def created_at(self) -> str:
        return iso(self._record.created_at)

    @property
    def is_benchmark(self) -> bool:
        """Be False: W&B has public benchmarks, which show their projects so."""
        return False

    @property
    def owner(self) -> User:
        return User(self.entity)

    def sweeps(
        self,
        per_page: int = PAGE_SIZE,
        filters: dict[str, Any] | None = None,
        order: str | None = None,
    ) -> LazyList[Sweep]:
        """List the sweeps of the project, the newest first.

        filters: Mongo-style on `name`, `sweep_id`, `state`, `description`, `user`, `config.…`,
        `created_at` and `updated_at` (API-8). order: `+` or `-` and one of these.
        """
        from lineal.client.public.sweep import Sweep  # few that look at a project ask for them
        from lineal.core.trials import SweepQuery

        query = SweepQuery(self.entity, self.name, as_filter(filters), order)
        return LazyList(
            lambda page: self._backend.sweeps(query, page),
            lambda record: Sweep(self._backend, record),
            per_page=per_page,
        )

    def artifacts_types(self, per_page: int = PAGE_SIZE) -> LazyList[ArtifactType]:
        """Return the types that the project has artifacts of; per_page does nothing here."""
        return artifact_types(self._backend, self.entity, self.name)

    def collections(
        self,
        filters: dict[str, Any] | None = None,
        order: str | None = None,
        per_page: int = PAGE_SIZE,
        start: str | None = None,
    ) -> LazyList[Collection]:
        query = CollectionQuery(self.entity, self.name, filters=filters, order=order)
        return collections(self._backend, query, per_page=per_page, start=start)

    @property
    def ttl(self) -> timedelta | ArtifactTTL | None:
        """TTL where neither version nor collection says anything; set at once (TTL-8)."""
        return ttls.shown(self._record.ttl_seconds)

    @ttl.setter
    def ttl(self, value: ttls.TTL) -> None:
        self._record = self._backend.set_project_ttl(self.entity, self.name, ttls.stored(value))

    @property
    def retention(self) -> Selection | None:
        """Which versions every sweep may delete; None: no policy. Set at once (DEL-11)."""
        return self._backend.policy(self.entity, self.name).selection

    @retention.setter
    def retention(self, policy: Retention) -> None:
        self._backend.set_policy(self.entity, self.name, None, _selection(policy))

    @property
    def protected_aliases(self) -> tuple[str, ...]:
        """Aliases whose versions neither expire nor can be deleted; set at once (TTL-12).

        A tuple, since to append to it would change nothing: set all of them.
        """
        return self._record.protected_aliases

    @protected_aliases.setter
    def protected_aliases(self, aliases: str | Sequence[str]) -> None:
        self._record = self._backend.protect_aliases(self.entity, self.name, names.strings(aliases))

    def delete(self, force: bool = False) -> None:
        """Delete the project with its runs and versions; `restore()` brings all back (DEL-5).

        Raises Conflict naming links from elsewhere, protected aliases, and runs of other projects
        that used or logged versions of this one, unless `force`.
        """
        self._backend.delete_project(self.entity, self.name, force=force)

    def restore(self) -> Restored:
        """Undo the deletion of the project; says what came back."""
        restored = self._backend.restore_project(self.entity, self.name)
        self._record = self._backend.project(self.entity, self.name)
        return restored

    def load(self, force: bool = True) -> dict[str, Any]:
        if force:
            self._record = self._backend.project(self.entity, self.name)
        return {"id": self.id, "name": self.name, "entityName": self.entity}

    def _to_show(self) -> tuple[str, list[tuple[str, Any]]]:
        types = ", ".join(each.name for each in self.artifacts_types())
        shown = [("created", self.created_at), ("artifacts", types or "none")]
        return f"Project {self.entity}/{self.name}", shown

    def __repr__(self) -> str:
        return f"<Project {self.entity}/{self.name}>"


class ArtifactType(KnownAttributes):
    """One type of artifacts in a project, such as `dataset`."""

    _plain_attributes = frozenset({"entity", "project", "name"})

    def __init__(self, backend: Backend, entity: str, project: str, name: str) -> None:
        self._backend = backend
        self.entity = entity
        self.project = project
        self.name = name

    @property
    def type(self) -> str:
        return self.name

    def collections(
        self,
        filters: dict[str, Any] | None = None,
        order: str | None = None,
        per_page: int = PAGE_SIZE,
        start: str | None = None,
    ) -> LazyList[Collection]:
        query = CollectionQuery(self.entity, self.project, self.name, filters, order)
        return collections(self._backend, query, per_page=per_page, start=start)

    def collection(self, name: str) -> Collection:
        return collection(self._backend, self.entity, self.project, name, type=self.name)

    def load(self, force: bool = True) -> dict[str, Any]:
        """Look whether the project still has the type. Raises NotFound naming all types."""
        if force:
            artifact_type(self._backend, self.entity, self.project, name=self.name)
        return {"name": self.name, "project": self.project, "entityName": self.entity}

    def __repr__(self) -> str:
        return f"<ArtifactType {self.name} of {self.entity}/{self.project}>"


class Collection(KnownAttributes):
    """All versions of one name.

    `name`, `display_name`, `description`, `type` and `tags` change with `save()`.
    """

    _plain_attributes = frozenset({"name", "display_name", "description", "type", "tags"})

    def __init__(self, backend: Backend, record: CollectionRecord) -> None:
        self._backend = backend
        self._show(record)

    def _show(self, record: CollectionRecord) -> None:
        self._record = record
        self.name = record.name
        self.display_name = record.display_name
        self.description = record.description
        self.type = record.type
        self.tags = list(record.tags)
        self._aliases = list(record.aliases)

    @property
    def id(self) -> int:
        return self._record.id

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def aliases(self) -> list[str]:
        """Of all its versions; they are given to a version: `api.artifact(…).aliases` changes."""
        return self._aliases

    @property
    def created_at(self) -> str:
        return iso(self._record.created_at)

    @property
    def updated_at(self) -> str:
        return iso(self._record.updated_at)

    @property
    def version_count(self) -> int:
        return self._record.version_count

    @property
    def size(self) -> int:
        """Bytes of all live versions, shared ones counted for each."""
        return self._record.size_bytes

    @property
    def ttl(self) -> timedelta | ArtifactTTL | None:
        """TTL of the versions that say nothing themselves; set at once (TTL-8)."""
        return ttls.shown(self._record.ttl_seconds)

    @ttl.setter
    def ttl(self, value: ttls.TTL) -> None:
        changed = self._backend.set_collection_ttl(self._record.id, ttls.stored(value))
        self._record = self._record._replace(ttl_seconds=changed.ttl_seconds)

    @property
    def retention(self) -> Selection | None:
        """Which versions every sweep may delete: its own policy, else the project's (DEL-11).

        Set a Selection, a dict such as `{"keep_last": 5, "unaliased": True}`, or None.
        """
        record = self._as_named_now()
        return self._backend.policy(record.entity, record.project, record.name).selection

    @retention.setter
    def retention(self, policy: Retention) -> None:
        record = self._as_named_now()
        self._backend.set_policy(record.entity, record.project, record.name, _selection(policy))

    def artifacts(
        self,
        per_page: int = PAGE_SIZE,
        start: str | None = None,
        filters: dict[str, Any] | None = None,
        order: str | None = None,
    ) -> LazyList[Artifact]:
        """List the versions, the newest first; filters and order as of `Api.artifacts`."""
        now = self._as_named_now()
        query = VersionQuery(now.entity, now.project, now.name, filters=filters, order=order)
        return versions(self._backend, query, per_page=per_page, start=start)

    versions = artifacts

    def is_sequence(self) -> bool:
        """Whether versions are logged here; otherwise it holds links only."""
        return self._record.kind is CollectionKind.SEQUENCE

    def save(self) -> None:
        """Send changes of name, display name, description, type (of a sequence only) and tags.

        The display name is free text of at most 128 characters that people see beside the name;
        None or empty text takes it away, and nothing is found by it. Raises Invalid for control
        characters and line breaks in it, and for `aliases` that were changed: versions have those.
        """
        before = self._record
        if self._aliases != list(before.aliases):
            raise Invalid(
                f"Aliases belong to versions, not to the collection {before.name}: change those of "
                f"`api.artifact('{before.entity}/{before.project}/{before.name}:v0')`, or of "
                "another version; `load()` drops this change"
            )
        tags = names.strings(self.tags, "Tags")
        patch = CollectionPatch(
            name=None if self.name == before.name else self.name,
            description=text_change(before.description, self.description),
            type=None if self.type == before.type else self.type,
            tags=None if list(before.tags) == tags else tuple(names.tags(tags)),
            tags_before=before.tags,
            display_name=text_change(before.display_name, self.display_name),
        )
        self._show(self._backend.update_collection(before.id, patch))

    def change_type(self, new_type: str) -> None:
        warnings.warn(
            "change_type is deprecated: set `type` and call save()",
            DeprecationWarning,
            stacklevel=2,
        )
        self.type = new_type
        self.save()

    def delete(self) -> None:
        """Delete a sequence with all its versions, or the links of a portfolio (DEL-3)."""
        self._backend.delete_collection(self._record.id)

    def restore(self) -> Restored:
        """Bring back what the last deletion hid here; says how much that was."""
        record = self._as_named_now()
        restored = self._backend.restore_collection(record.entity, record.project, record.name)
        self.load()
        return restored

    def load(self, force: bool = True) -> None:
        if force:
            now = self._as_named_now()
            self._show(self._backend.collection(now.entity, now.project, now.name))

    def _as_named_now(self) -> CollectionRecord:
        """Return this collection under its present name: its old one may be another's by now."""
        return self._backend.collection_by_id(self._record.id)

    def __repr__(self) -> str:
        return f"<Collection {self.entity}/{self.project}/{self.name} ({self.type})>"


# --- lists --------------------------------------------------------------------------------------


def artifact_types(
    backend: Backend, entity: str, project: str, *, start: str | None = None
) -> LazyList[ArtifactType]:
    found = backend.artifact_types(entity, project)

    def all_at_once(page: PageRequest) -> Page[str]:
        if page.cursor is not None:
            raise Invalid(f"start={page.cursor!r}: all types come at once, and no list ends there")
        in_turn = found[::-1] if page.backwards else found
        items = () if page.only_total else tuple(in_turn[page.skip :])
        return Page(items, None, len(found))

    return LazyList(
        all_at_once,
        lambda name: ArtifactType(backend, entity, project, name),
        start=start,
        empty=f"{entity}/{project} has no artifacts yet",
    )


def artifact_type(backend: Backend, entity: str, project: str, name: str) -> ArtifactType:
    """Return one type; raises NotFound naming those there are."""
    name = file_paths.path_text(name, "A type")
    found = backend.artifact_types(entity, project)
    if name not in found:
        there = f"; types there: {', '.join(found) or 'none'}"
        hint = did_you_mean(name, found, otherwise=there)
        raise NotFound(f"No artifact in {entity}/{project} has the type `{name}`{hint}")
    return ArtifactType(backend, entity, project, name)


def collection(
    backend: Backend, entity: str, project: str, name: str, *, type: str | None = None
) -> Collection:
    """Return one collection; raises NotFound, and Invalid (a ValueError) for another type."""
    record = backend.collection(entity, project, file_paths.path_text(name, "A name"))
    names.require_type(f"Collection {entity}/{project}/{name}", record.type, type)
    return Collection(backend, record)


def collections(
    backend: Backend,
    query: CollectionQuery,
    *,
    per_page: int = PAGE_SIZE,
    start: str | None = None,
) -> LazyList[Collection]:
    kind = f" of type `{query.type}`" if query.type else ""
    query = query._replace(filters=as_filter(query.filters))
    return LazyList(
        lambda page: backend.collections(query, page),
        lambda record: Collection(backend, record),
        per_page=per_page,
        start=start,
        empty=f"project {query.entity}/{query.project} has no such collections{kind}",
    )


def versions(
    backend: Backend,
    query: VersionQuery,
    *,
    per_page: int = PAGE_SIZE,
    start: str | None = None,
) -> LazyList[Artifact]:
    def make(record: VersionRecord) -> Artifact:
        return committed(backend, record)

    query = query._replace(filters=as_filter(query.filters))
    such = " with all those tags" if query.tags else ""
    such += " that match" if query.filters else ""
    return LazyList(
        lambda page: backend.versions(query, page),
        make,
        per_page=per_page,
        start=start,
        empty=f"collection {query.entity}/{query.project}/{query.collection} has no versions{such}",
    )


def projects(
    backend: Backend, entity: str, *, per_page: int = PAGE_SIZE, start: str | None = None
) -> LazyList[Project]:
    return LazyList(
        lambda page: backend.projects(entity, page),
        lambda record: Project(backend, record),
        per_page=per_page,
        start=start,
        empty=f"entity {entity} has no projects",
    )


def _selection(policy: Retention) -> Selection | None:
    if policy is None or isinstance(policy, Selection):
        return policy
    return selection_from_json(policy)
