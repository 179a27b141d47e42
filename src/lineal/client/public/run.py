"""A run as the public API shows it: read, edited and extended after the fact (API-9, API-10)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

from lineal.client import session, term
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.backend import Backend
from lineal.client.known_attributes import KnownAttributes, hint
from lineal.client.public import configs, graph, late_edges, waiting
from lineal.client.public import history as public_history
from lineal.client.public.files import File, name_below, run_files
from lineal.client.public.lists import PAGE_SIZE, LazyList
from lineal.client.public.summary import PublicSummary
from lineal.client.public.user import User
from lineal.client.shown import Shown, of_summary
from lineal.client.values import iso, text_change
from lineal.core import full_names, names
from lineal.core.records import (
    EdgeKind,
    JsonObject,
    RunDocument,
    RunKey,
    RunPatch,
    RunRecord,
    RunState,
)
from lineal.errors import Conflict, Invalid, MissingFile
from lineal.nearest import NEAR_MISSES_MOST, nearest

if TYPE_CHECKING:
    from lineal.client.public.sweep import Sweep

Read = Callable[[RunKey, RunDocument], JsonObject]
HISTORY_SAMPLES = 500
ARTIFACTS_PER_PAGE = 100


class Run(KnownAttributes, Shown):
    """A run of any state; `name`, `tags`, `notes`, `group`, `job_type`, `config` can be changed.

    Changes are sent by `update()`, those of `summary` also by `summary.update()`.
    """

    _record: RunRecord
    _plain_attributes = frozenset({"name", "notes", "group", "job_type", "tags"})

    def __init__(self, backend: Backend, record: RunRecord, read: Read | None = None) -> None:
        """read: returns a document of the run, where its record is without them."""
        self._backend = backend
        self._show(record)
        self._read = read

    def __reduce__(self) -> tuple[type[Run], tuple[Backend, RunRecord]]:
        config, summary, metadata = map(self._document, get_args(RunDocument))
        whole = self._record._replace(config=config, summary=summary, metadata=metadata)
        return Run, (self._backend, whole)

    def _document(self, name: RunDocument) -> JsonObject:
        if (read := self._read) is not None and name not in self._documents:
            self._documents[name] = read(self._record.key, name)
        own: JsonObject = getattr(self._record, name)
        return self._documents.get(name, own)

    def _show(self, record: RunRecord) -> None:
        self._record, self._read = record, None
        """As it was when it was shown: what differs from that is what the user changed."""
        self._documents: dict[str, JsonObject] = {}
        """Those that were read after the record."""
        self.name = record.name
        self.notes = record.notes
        self.group = record.group
        self.job_type = record.job_type
        self.tags = list(record.tags)
        for made_when_asked_for in ("config", "_changeable_summary"):
            vars(self).pop(made_when_asked_for, None)

    # --- what it is ---

    @cached_property
    def config(self) -> dict[str, Any]:
        return configs.visible(self._document("config"))

    @property
    def summary(self) -> PublicSummary:
        return self._changeable_summary

    @cached_property
    def _changeable_summary(self) -> PublicSummary:
        return PublicSummary(self._document("summary"), self._save_summary, self.duration)

    @property
    def id(self) -> str:
        return self._record.run_id

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def path(self) -> list[str]:
        return [self.entity, self.project, self.id]

    @property
    def storage_id(self) -> str:
        return str(self._record.key)

    @property
    def url(self) -> str:
        return f"{self._backend.url}/{self.entity}/{self.project}/runs/{self.id}"

    @property
    def display_name(self) -> str:
        return self.name

    @display_name.setter
    def display_name(self, name: str) -> None:
        self.name = name

    @property
    def description(self) -> str | None:
        return self.notes

    @description.setter
    def description(self, text: str | None) -> None:
        self.notes = text

    @property
    def state(self) -> str:
        """RUN-9: `running`, `finished`, `failed`, `crashed` …; as it was when last loaded."""
        return self._record.state.value

    @property
    def user(self) -> User:
        return User(self._record.user)

    username = user

    @property
    def created_at(self) -> str:
        return iso(self._record.created_at)

    @property
    def heartbeat_at(self) -> str:
        return iso(self._record.heartbeat_at)

    @property
    def finished_at(self) -> str | None:
        moment = self._record.finished_at
        return None if moment is None else iso(moment)

    @property
    def exit_code(self) -> int | None:
        return self._record.exit_code

    @property
    def duration(self) -> float:
        """Seconds it ran, all attempts together."""
        return self._record.runtime_seconds

    @property
    def commit(self) -> str | None:
        return self._record.git_commit

    @property
    def metadata(self) -> dict[str, Any]:
        """What was captured of machine and program (RUN-31)."""
        return self._document("metadata")

    @property
    def host(self) -> str | None:
        return self._record.host

    @property
    def program(self) -> str | None:
        return self._record.program

    @property
    def sweep_name(self) -> str | None:
        return self._record.sweep_id

    sweep_id = sweep_name

    @property
    def sweep(self) -> Sweep | None:
        """The sweep that the run belongs to (API-9); None once the run was moved."""
        from lineal.client.public import sweep as public_sweep  # it loads this module

        return public_sweep.of_run(self._backend, self.entity, self.project, self.sweep_id)

    @property
    def read_only(self) -> bool:
        return False

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The config as W&B stores it, hidden keys included: key → {"value": …}."""
        return {key: {"value": value} for key, value in self._document("config").items()}

    @property
    def json_config(self) -> str:
        return json.dumps(self.rawconfig)

    @property
    def summary_metrics(self) -> dict[str, Any]:
        return dict(self._document("summary"))

    @property
    def system_metrics(self) -> dict[str, Any]:
        """The last value of each system metric; empty if none were recorded."""
        found: dict[str, Any] = {}
        for row in public_history.rows(self._backend, self._record.key, stream="system"):
            if row.get("_type") != "alert":
                found.update(row)
        return found

    @property
    def history_keys(self) -> dict[str, Any]:
        """Which keys the history has, how often, of which type; reads all of it."""
        return public_history.keys_of(public_history.rows(self._backend, self._record.key))

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - W&B's name (API-9)
        """The highest step logged; -1 before the first."""
        return self._record.last_step

    @property
    def history_line_count(self) -> int:
        """The number of rows logged."""
        return self._record.history_count

    def _to_show(self) -> tuple[str, list[tuple[str, Any]]]:
        return f"Run {'/'.join(self.path)} ({self.name})", of_summary(self.summary)

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self.state})>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Run):
            return NotImplemented
        return (self._record.key, self._backend.url) == (other._record.key, other._backend.url)

    def __hash__(self) -> int:
        return hash((self._record.key, self._backend.url))

    def __getattr__(self, name: str) -> Any:
        snake = re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)
        is_one = snake in vars(self) or isinstance(getattr(Run, snake, None), property)
        if snake != name and is_one:
            return getattr(self, snake)  # W&B has `createdAt` and `jobType`, too
        raise AttributeError(f"A run has no attribute `{name}`{hint(name, {*dir(self)})}")

    # --- loading and changing ---

    def load(self, force: bool = True) -> dict[str, Any]:
        """Read the run again, dropping changes that were not sent; returns its attributes."""
        if force:
            session.flush()
            self._show(self._backend.run_by_key(self._record.key))
        return {"name": self.id, "displayName": self.name, "state": self.state}

    def update(self) -> None:
        """Send all changes: attributes, config and summary."""
        patch = self._patch()
        changed, removed = self.summary._take_changes()
        patch = patch._replace(summary=changed or None, summary_removed=removed)
        try:
            self._show(self._backend.update_run(self._record.key, patch))
        except BaseException:
            self.summary._put_back(changed, removed)
            raise

    save = update

    def _patch(self) -> RunPatch:
        """Return what is to be changed, but for the summary. Raises TypeError, Invalid."""
        before = self._record
        config, config_removed = configs.changes(self._document("config"), self.config)
        tags = names.strings(self.tags, "Tags")
        return RunPatch(
            name=text_change(before.name, self.name),
            notes=text_change(before.notes, self.notes),
            group=text_change(before.group, self.group),
            job_type=text_change(before.job_type, self.job_type),
            tags=None if list(before.tags) == tags else tuple(tags),
            tags_before=before.tags,
            config=config or None,
            config_removed=config_removed,
        )

    def delete(self, delete_artifacts: bool = False, force: bool = False) -> None:
        """Delete the run; what it logged stays unless `delete_artifacts` (DEL-4).

        Raises Conflict if any of that is linked or protected, unless `force`.
        """
        self._backend.delete_run(self._record.key, delete_artifacts=delete_artifacts, force=force)

    def restore(self) -> None:
        """Undo the deletion of the run, with the versions that were deleted with it (DEL-7)."""
        self._show(self._backend.restore_run(self.entity, self.project, self.id))

    def move(self, project: str, entity: str | None = None, artifacts: str = "keep") -> Run:
        """Move the run to another project and return it; its old path goes on leading to it.

        artifacts: `keep` leaves what it logged where it is, `move` takes along the collections
        that runs of the new project alone logged, and warns of others (RUN-38).
        Raises Exists when its id is taken there.
        """
        if artifacts not in ("keep", "move"):
            raise Invalid(f"move(artifacts={artifacts!r}): use `keep` or `move`")
        target = full_names.named_project(project, entity or self.entity)
        result = self._backend.move_run(
            self._record.key, *target, with_artifacts=artifacts == "move"
        )
        for reason in result.kept:
            term.warning(f"Stays where it is: {reason}")
        there = result.run
        self._record = self._record._replace(entity=there.entity, project=there.project)
        return self

    def stop(self) -> None:
        """Make the run `killed` (API-10); raises Conflict if it is over already.

        An agent of a sweep ends it within a second or so. Nobody ends another run's process: what
        it still logs is kept, and it stays `killed`.
        """
        session.flush()
        self._show(self._backend.update_run(self._record.key, RunPatch(state=RunState.KILLED)))

    def update_state(self, state: str) -> bool:
        """Make a failed or crashed run `pending` again, so that `init(id=…)` can start it.

        state: `pending`, as in W&B; anything else is Invalid. Returns True; raises Conflict for a
        run that goes on or ended well.
        """
        if state != RunState.PENDING:
            raise Invalid(f"update_state({state!r}): use `pending`; `stop()` ends a run")
        self.load()
        if self._record.state in (RunState.RUNNING, RunState.PREEMPTING):
            raise Conflict(
                f"Run {'/'.join(self.path)} is {self.state}; only a failed or crashed run can be "
                "`pending` again"
            )
        self._show(self._backend.update_run(self._record.key, RunPatch(state=RunState.PENDING)))
        return True

    def wait_until_finished(self, timeout: float | None = None) -> None:
        """Return once the run is over, however it ended; raises WaitTimeoutError."""
        waiting.until_finished(self, timeout)

    def _save_summary(self, changed: dict[str, Any], removed: tuple[str, ...]) -> None:
        patch = RunPatch(summary=changed or None, summary_removed=removed)
        saved = self._backend.update_run(self._record.key, patch)
        self._documents["summary"] = saved.summary

    # --- what it logged ---

    def history(
        self,
        samples: int = HISTORY_SAMPLES,
        keys: str | Sequence[str] | None = None,
        x_axis: str = public_history.STEP,
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """Return at most `samples` rows, the first and last among them.

        A DataFrame where pandas is installed and wanted, else a list of dicts. With `keys`, rows
        that have all of them and `x_axis`.
        """
        wanted = None if keys is None else list(dict.fromkeys([x_axis, *names.texts(keys, "Keys")]))
        found = public_history.sampled_rows(
            self._backend, self._record.key, wanted, samples, stream=stream
        )
        return public_history.frame(found, wanted=pandas)

    def scan_history(
        self,
        keys: str | Sequence[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
        use_cache: bool = True,
    ) -> public_history.HistoryScan:
        """Return every row, unsampled, to loop over as they are read, any number of times.

        With `keys`, rows that have all of them, with these and `_step`. min_step inclusive,
        max_step exclusive. page_size and use_cache are W&B's and do nothing here.
        """
        wanted = names.texts(keys, "Keys")
        if wanted:
            wanted = list(dict.fromkeys([public_history.STEP, *wanted]))
        return public_history.HistoryScan(
            lambda: public_history.rows(
                self._backend, self._record.key, wanted, min_step=min_step, max_step=max_step
            )
        )

    beta_scan_history = scan_history

    # --- files ---

    def files(
        self,
        names: str | Sequence[str] | None = None,
        pattern: str | None = None,
        per_page: int = PAGE_SIZE,
        start: str | None = None,
    ) -> LazyList[File]:
        """List the files: these names, or what is like a pattern of SQL, such as `media/%.png`."""
        return run_files(
            self._backend,
            self._record,
            names,
            pattern,
            per_page=per_page,
            start=start,
            tidied=self._tidied,
        )

    @cached_property
    def _tidied(self) -> set[str]:
        return set()  # see `File`

    def file(self, name: str) -> File:
        """Return one file; raises MissingFile (a FileNotFoundError) naming those that are near."""
        found = self.files([name])
        if found:
            return found[0]
        known = islice(self.files(per_page=NEAR_MISSES_MOST), NEAR_MISSES_MOST)
        near = nearest(name, [file.name for file in known], count=3)
        hint = f"; near: {', '.join(near)}" if near else ""
        raise MissingFile(f"Run {'/'.join(self.path)} has no file {name}{hint}")

    def upload_file(self, path: str, root: str = ".") -> File:
        """Store a local file with the run, named by its path below `root`; see `name_below`."""
        name = name_below(root, path)
        self._backend.put_run_files(self._record.key, [(name, os.path.abspath(path))])
        return self.file(name)

    # --- artifacts ---

    def logged_artifacts(self, per_page: int = ARTIFACTS_PER_PAGE) -> LazyList[Artifact]:
        """List what the run logged, also content that was there already (LIN-3); oldest first."""
        return self._artifacts(EdgeKind.LOGGED, per_page)

    def used_artifacts(self, per_page: int = ARTIFACTS_PER_PAGE) -> LazyList[Artifact]:
        """List the versions the run used, the first used first."""
        return self._artifacts(EdgeKind.USED, per_page)

    def _artifacts(self, kind: EdgeKind, per_page: int) -> LazyList[Artifact]:
        return LazyList(
            lambda page: self._backend.versions_of(self._record.key, kind, page),
            partial(committed, self._backend),
            per_page=per_page,
            empty=f"run {'/'.join(self.path)} has {kind.value} no artifact",
        )

    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:
        """Record that this run used an artifact, without re-opening the run (SEM-11).

        A draft is logged first, with no producing run (SEM-7). use_as: W&B's, ignored.
        """
        return late_edges.use(self._backend, self._record, artifact)

    def log_artifact(
        self,
        artifact: Artifact,
        aliases: str | Sequence[str] | None = None,
        tags: str | Sequence[str] | None = None,
    ) -> Artifact:
        """Attach an artifact to this run's outputs, without re-opening the run (SEM-11).

        A draft becomes a version of this run's project. An existing version must be of this
        project; it keeps its number and gets the aliases and tags in addition.
        """
        return late_edges.log(self._backend, self._record, artifact, aliases, tags)

    def lineage(
        self,
        direction: str = "both",
        depth: int | None = None,
        types: str | Sequence[str] | None = None,
        derived: bool = False,
    ) -> graph.Graph:
        """Return the graph around this run; see `Artifact.lineage` (LIN-13)."""
        root = f"run:{self._record.key}"
        return graph.graph(self._backend, root, direction, depth, types, derived)
