"""The public API: find runs, artifacts and projects, without a run and without leaving a trace.

Nothing read here is recorded as used (SEM-8); `run.use_artifact` is for that.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lineal.client import session
from lineal.client.artifact import ttl as ttls
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.artifact.ttl import ArtifactTTL
from lineal.client.backend import Backend, version_of_type
from lineal.client.default_project import default_project
from lineal.client.public import addresses
from lineal.client.public import catalog as public_catalog
from lineal.client.public import overrides as public_overrides
from lineal.client.public import runs as public_runs
from lineal.client.public.catalog import ArtifactType, Collection, Project
from lineal.client.public.lists import PAGE_SIZE, LazyList
from lineal.client.public.run import Run
from lineal.client.public.runs import Runs
from lineal.client.public.user import Viewer
from lineal.client.values import as_filter
from lineal.core import full_names, names
from lineal.core.ids import new_id
from lineal.core.records import (
    CollectionQuery,
    RunKey,
    RunPatch,
    RunQuery,
    RunSpec,
    RunState,
    VersionQuery,
)
from lineal.core.retention import Deletion, Preview, Restored, Selection, selection_from_json
from lineal.errors import Invalid, NotFound, RunGone, RunNotFoundError
from lineal.nearest import did_you_mean
from lineal.wandb_names import OF_API

if TYPE_CHECKING:
    from lineal.client.public.sweep import Sweep


class Api:
    """Reads and edits what is stored; the defaults of paths come from overrides and settings."""

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        api_key: str | None = None,
    ) -> None:
        """overrides: `entity`, `project`, `run`, and `base_url`, the `file://` address of a home.

        timeout: seconds to wait for a busy instance. `organization` and `api_key` matter only to
        servers. Raises Invalid for unknown overrides.
        """
        self._settings = public_overrides.settings(overrides or {}, timeout)
        self._backend: Backend = session.open_backend(self._settings)
        self._project = default_project(self._settings)
        self._runs: dict[RunKey, Run] = {}

    if not TYPE_CHECKING:  # type checkers see by themselves which names there are

        def __getattr__(self, name: str) -> Any:
            if name in OF_API:
                hint = f" yet: {OF_API[name]}; docs/compatibility.md lists what is missing"
            elif name.startswith("_"):
                hint = ""
            else:
                hint = did_you_mean(name, [each for each in dir(self) if not each.startswith("_")])
            raise AttributeError(f"Api has no attribute `{name}`{hint}")

    # --- who and where ---

    @property
    def default_entity(self) -> str:
        return self._backend.entity

    @property
    def viewer(self) -> Viewer:
        return Viewer(self._backend.username, self._backend.entity)

    @property
    def settings(self) -> dict[str, str | None]:
        return {
            "entity": self.default_entity,
            "project": self._project,
            "run": self._settings.run_id,
            "base_url": self._backend.url,
        }

    @property
    def api_key(self) -> str:
        """A text, so that scripts which ask for one go on: nobody needs it."""
        return "none is needed"

    def flush(self) -> None:
        """Forget loaded objects, so that the next call reads them anew (API-2)."""
        self._runs.clear()

    # --- artifacts ---

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Return a version by `[[entity/]project/]name[:alias]`; no alias means `latest`.

        Raises NotFound (a CommError), and Invalid (a ValueError) for None or another type.
        """
        if name is None:
            raise Invalid("api.artifact needs a name such as `project/name:alias`")
        record = version_of_type(self._backend, self._artifact_path(name), type)
        return committed(self._backend, record)

    def artifacts(
        self,
        type_name: str | None = None,
        name: str | None = None,
        order: str | None = None,
        per_page: int = PAGE_SIZE,
        tags: str | Sequence[str] | None = None,
        start: str | None = None,
        filters: dict[str, Any] | None = None,
    ) -> LazyList[Artifact]:
        """List the versions of a collection, the newest first (API-4).

        order: `+` or `-` and `version_index`, `created_at`, `size` or `metadata.…`. tags: all of
        them. filters: Mongo-style on `metadata.…`, `size`, `aliases`, `created_at` … (MET-1).
        start: the `cursor` of an earlier list. Raises NotFound, and Invalid for `name:alias`.
        """
        if name is None:
            raise Invalid("api.artifacts needs the name of a collection: name=`project/name`")
        path = self._collection_path(name, f"api.artifact({name!r}) returns that version")
        query = VersionQuery(
            entity=path.entity,
            project=path.project,
            collection=path.name,
            type=type_name,
            tags=tuple(names.tags(tags)),
            filters=filters,
            order=order,
        )
        return public_catalog.versions(self._backend, query, per_page=per_page, start=start)

    def artifact_versions(
        self, type_name: str | None = None, name: str | None = None, per_page: int = PAGE_SIZE
    ) -> LazyList[Artifact]:
        """Deprecated spelling of `artifacts`."""
        warnings.warn(
            "artifact_versions is deprecated: use artifacts", DeprecationWarning, stacklevel=2
        )
        return self.artifacts(type_name, name, per_page=per_page)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Say whether there is such a version (of that type); failures to look are raised."""
        try:
            record = self._backend.version(self._artifact_path(name))
        except NotFound:
            return False
        return type is None or record.type == type

    def artifact_types(
        self, project: str | None = None, start: str | None = None
    ) -> LazyList[ArtifactType]:
        """List the types of the artifacts of a project (`[entity/]project`).

        start: W&B's; all types come at once, so no list of them has a `cursor` to go on at.
        """
        return public_catalog.artifact_types(
            self._backend, *self._project_path(project), start=start
        )

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Return a type of a project, to list its collections; raises NotFound naming all types."""
        return public_catalog.artifact_type(
            self._backend, *self._project_path(project), name=type_name
        )

    def artifact_collections(
        self,
        project_name: str | None = None,
        type_name: str | None = None,
        order: str | None = None,
        per_page: int = PAGE_SIZE,
        start: str | None = None,
        filters: dict[str, Any] | None = None,
    ) -> LazyList[Collection]:
        """List the collections of a project (`[entity/]project`), by name.

        order: `+` or `-` and `name`, `created_at` or `updated_at`. filters: Mongo-style on
        these, `type` and `tags`.
        """
        entity, project = self._project_path(project_name)
        query = CollectionQuery(entity, project, type_name, filters, order)
        return public_catalog.collections(self._backend, query, per_page=per_page, start=start)

    def artifact_collection(self, type_name: str, name: str) -> Collection:
        """Return a collection by `[[entity/]project/]name`.

        Raises NotFound, and Invalid (a ValueError) for `name:alias` or when its type is another.
        """
        path = self._collection_path(name, f"api.artifact({name!r}) returns that version")
        return public_catalog.collection(
            self._backend, path.entity, path.project, path.name, type=type_name
        )

    def artifact_collection_exists(self, name: str, type: str | None = None) -> bool:
        """Say whether there is such a collection (of that type); failures to look are raised.

        False for `name:alias`, which is a version: `artifact_exists` asks for those.
        """
        path = self._artifact_path(name)
        if full_names.names_version(name):
            return False
        try:
            record = self._backend.collection(path.entity, path.project, path.name)
        except NotFound:
            return False
        return type is None or record.type == type

    # --- runs ---

    def run(self, path: str = "") -> Run:
        """Return a run by `[[entity/]project/]run_id`; `/entity/project/runs/id` is read too.

        So is the `url` of a run. The same object until `flush()`, as it was when it was loaded.
        Raises RunNotFoundError (a ValueError), for a deleted run RunGone, which is one.
        """
        where = self._run_path(path or self._settings.run_id or "")
        session.flush()
        record = self._backend.run(*where)  # whoever deleted it, it is not returned any more
        if record.key not in self._runs:
            self._runs[record.key] = Run(self._backend, record)
        return self._runs[record.key]

    def sweep(self, path: str) -> Sweep:
        """Return a sweep by `[[entity/]project/]sweep_id` (API-12). Raises NotFound, Invalid."""
        from lineal.client.public import sweep as public_sweep
        from lineal.client.sweep import sweep  # only those who sweep

        return public_sweep.Sweep(*sweep.find(self._settings, path))

    def runs(
        self,
        path: str | None = None,
        filters: dict[str, Any] | None = None,
        order: str | None = None,
        per_page: int = PAGE_SIZE,
        include_sweeps: bool = False,
        lazy: bool = True,
        start: str | None = None,
    ) -> Runs:
        """List the runs of a project, the newest first (X-3).

        filters: Mongo-style on `config.…`, `summary_metrics.…`, `state`, `tags` … (API-8).
        order: `+` or `-` and `created_at`, `heartbeat_at`, `config.…` or `summary_metrics.…`.
        lazy: read config, summary and metadata of runs when they are asked for, those of many at
        once; False: with the list. include_sweeps: W&B's; runs say their `sweep_name` anyway.
        """
        entity, project = self._project_path(path)
        query = RunQuery(entity, project, as_filter(filters), order, with_documents=not lazy)
        such = " that match" if filters else ""
        return public_runs.runs(
            self._backend,
            query,
            per_page=per_page,
            start=start,
            empty=f"project {entity}/{project} has no runs{such}",
        )

    def create_run(
        self,
        run_id: str | None = None,
        project: str | None = None,
        entity: str | None = None,
    ) -> Run:
        """Make a run that has not started: `pending` until `init(id=…)` starts it (RUN-17)."""
        where = self._project_of(project or self._project, entity)
        spec = RunSpec(*where, run_id=run_id or new_id(), resume="never")
        started = self._backend.start_run(spec)
        patch = RunPatch(state=RunState.PENDING)
        return Run(self._backend, self._backend.update_run(started.run.key, patch))

    # --- projects ---

    def project(self, name: str, entity: str | None = None) -> Project:
        """Return a project by `[entity/]project`; raises NotFound, Gone."""
        where = self._project_of(name, entity)
        return Project(self._backend, self._backend.project(*where))

    def projects(
        self, entity: str | None = None, per_page: int = PAGE_SIZE, start: str | None = None
    ) -> LazyList[Project]:
        """List the projects of an entity, by name; default: your own."""
        return public_catalog.projects(
            self._backend, self._entity(entity), per_page=per_page, start=start
        )

    def create_project(self, name: str, entity: str | None = None) -> Project:
        """Make a project; one that exists is returned as it is.

        Raises Invalid where `name` is `entity/project` and `entity` another.
        """
        where = self._project_of(name, entity)
        return Project(self._backend, self._backend.project(*where, create=True))

    # --- deleting and restoring ---

    def preview(self, path: str, selection: Selection | Mapping[str, Any]) -> Preview:
        """Say what `delete_versions` would delete, and the bytes it would free (DEL-9).

        path: `[entity/]project`, or `[entity/]project/collection`. selection: a Selection, or a
        dict such as `{"older_than_seconds": 2592000, "unaliased": True, "keep_last": 5}`. Raises
        NotFound, and Invalid for `name:alias`.
        """
        return self._backend.preview(*self._place(path), _selection(selection))

    def delete_versions(
        self, path: str, selection: Selection | Mapping[str, Any]
    ) -> Deletion | None:
        """Delete all versions of a selection as one deletion; None if there were none.

        Linked and protected versions stay. `restore` takes the `id` of what this returns. Raises
        NotFound, and Invalid for `name:alias`: `delete()` of that artifact deletes one version.
        """
        return self._backend.delete_selected(*self._place(path), _selection(selection))

    def deletions(self, per_page: int = PAGE_SIZE, start: str | None = None) -> LazyList[Deletion]:
        """List what was deleted, the newest first: who, when, why, and until when it is undone."""

        def same(deletion: Deletion) -> Deletion:
            return deletion

        return LazyList(
            self._backend.deletions,
            same,
            per_page=per_page,
            start=start,
            empty="nothing was deleted",
        )

    def restore(self, what: int | str) -> Restored:
        """Undo a deletion by its id, or bring back what a path names.

        A path: `name:vN`, a run (`entity/project/run_id`), a project or collection (`project`,
        `project/name`). What is not deleted counts as nothing. Raises NotFound, and Gone when its
        content is gone.
        """
        if isinstance(what, bool):
            raise TypeError(f"restore takes the id of a deletion or a path, not {what}")
        if isinstance(what, int):
            return self._backend.restore(what)
        what = self._path(what)
        if full_names.names_version(what):
            return self._backend.restore_version(self._artifact_path(what)).restored
        if full_names.is_with_scheme(what):
            path = self._artifact_path(what)
            return self._backend.restore_collection(path.entity, path.project, path.name)
        parts = what.strip("/").split("/")
        if len(parts) >= 3 or "runs" in parts[-2:-1]:
            return self._restore_run_or_collection(*self._run_path(what))
        if len(parts) == 2 and parts[0] != self.default_entity:
            return self._restore_run_or_collection(self.default_entity, parts[0], parts[1])
        return self._backend.restore_project(*full_names.named_project(what, self.default_entity))

    def _restore_run_or_collection(self, entity: str, project: str, name: str) -> Restored:
        was_live = self._is_live_run(entity, project, name)
        try:
            self._backend.restore_run(entity, project, name)
        except RunGone:
            raise
        except RunNotFoundError:
            return self._backend.restore_collection(entity, project, name)
        return Restored(runs=0 if was_live else 1)

    def _is_live_run(self, entity: str, project: str, run_id: str) -> bool:
        try:
            self._backend.run(entity, project, run_id)
        except NotFound:
            return False
        return True

    def default_ttl(self, entity: str | None = None) -> timedelta | ArtifactTTL | None:
        """Return the TTL of an entity, for all versions where nothing nearer says one (TTL-7)."""
        found = ttls.shown(self._backend.entity_ttl(self._entity(entity)))
        return None if found is ArtifactTTL.INHERIT else found

    def set_default_ttl(self, value: ttls.TTL, entity: str | None = None) -> None:
        """Set the TTL of an entity, at once; values as of `Artifact.ttl`."""
        self._backend.set_entity_ttl(self._entity(entity), ttls.stored(value))

    # --- anything ---

    def from_path(self, path: str) -> Project | Run | Sweep | Artifact:
        """Return what a path names, or the `url` of a project, a run or a sweep.

        Paths: `[entity/]project`, `entity/project/run_id`, `entity/project/sweeps/sweep_id` or
        `name:alias`.
        """
        path = self._path(path)
        if full_names.names_version(path) or full_names.is_with_scheme(path):
            return self.artifact(path)
        parts = path.strip("/").split("/")
        if "sweeps" in parts[-2:-1]:
            return self.sweep(path)
        if len(parts) >= 3 or "runs" in parts[-2:-1]:
            return self.run(path)
        return self.project(path.strip("/"))

    def _entity(self, name: str | None) -> str:
        return self.default_entity if name in (None, "") else names.entity_name(name)

    def _path(self, text: str) -> str:
        path = addresses.path_of(self._backend, text)
        if not isinstance(path, str):
            raise Invalid(f"A path is a text such as `entity/project/run_id`, not {path!r}")
        return path

    def _place(self, path: str) -> tuple[str, str, str | None]:
        """Read `[entity/]project` or `[entity/]project/collection`.

        Of two parts the first is a project, unless it is your entity and no such collection exists.
        """
        text = self._path(path).strip("/")
        place = self._collection_path(text, f"api.artifact({text!r}).delete() deletes that version")
        parts = text.split("/")
        if len(parts) == 1:
            return self.default_entity, text, None
        is_entity = len(parts) == 2 and parts[0] == self.default_entity
        if is_entity and not self.artifact_collection_exists(text):
            return parts[0], parts[1], None
        return place.entity, place.project, place.name

    def _collection_path(self, name: str, instead: str) -> full_names.ArtifactPath:
        return full_names.collection_path(name, self.default_entity, self._project, instead=instead)

    def _artifact_path(self, name: str) -> full_names.ArtifactPath:
        return full_names.artifact_path(name, self.default_entity, self._project)

    def _project_path(self, path: str | None) -> tuple[str, str]:
        text = None if path is None else addresses.path_of(self._backend, path)
        return full_names.project_path(text, self.default_entity, self._project)

    def _run_path(self, path: str) -> tuple[str, str, str]:
        text = addresses.path_of(self._backend, path)
        return full_names.run_path(text, self.default_entity, self._project)

    def _project_of(self, name: str, entity: str | None) -> tuple[str, str]:
        """Read a project and, beside it, the entity that may be said there, too."""
        text = addresses.path_of(self._backend, name)
        found = full_names.named_project(text, self._entity(entity))
        if entity and found[0] != entity:
            raise Invalid(
                f"`{name}` is of the entity `{found[0]}`, but entity={entity!r} says another; "
                "leave one of them out"
            )
        return found

    def __repr__(self) -> str:
        return f"<Api of {self.default_entity} at {self._backend.url}>"


def _selection(selection: Selection | Mapping[str, Any]) -> Selection:
    return selection if isinstance(selection, Selection) else selection_from_json(selection)
