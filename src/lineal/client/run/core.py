"""What every run has, whatever it is asked to do: identity, config, summary, and how all that
reaches the backend in the end.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from lineal.client import session, term
from lineal.client.backend import Backend
from lineal.client.capture.console import Console
from lineal.client.run import metrics, rows, saved_files, surroundings
from lineal.client.run.attributes import Attributes
from lineal.client.run.config import RunConfig
from lineal.client.run.logged_artifacts import LoggedArtifacts
from lineal.client.run.spool import Spool, Writer
from lineal.client.run.summary import Summary
from lineal.config import Settings
from lineal.core.full_names import ArtifactPath
from lineal.core.ids import new_id
from lineal.core.names import strings
from lineal.core.records import RunPatch, RunRecord, StartedRun, Stream
from lineal.errors import LinealError, Unavailable, UsageError
from lineal.interrupts import deferred
from lineal.wandb_settings import of_run

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact
    from lineal.client.run.sources import Sources
    from lineal.client.run.watching import Watching
    from lineal.client.sweep.trial import Trial

PUSH_MAX_SECONDS = 10.0
PUSH_GROWTH = 1 / 30
"""Lines go to the database every second at first, later every ten: fewer and longer chunks."""


class Place(NamedTuple):
    """Where a run's lines and files wait on this machine."""

    spool: str
    files: str
    offline_folder: str | None = None
    resume_file: str | None = None
    """Where `resume="auto"` remembers this run."""


class Status(NamedTuple):
    """What has not reached the backend yet."""

    sync_items_total: int
    sync_items_pending: int
    sync_time: datetime | None = None


class RunCore(Attributes):
    """The state of a run, and the moving of what it logged; `Run` adds what users call."""

    def __init__(
        self,
        backend: Backend,
        settings: Settings,
        started: StartedRun,
        place: Place,
        *,
        allow_val_change: bool = False,
    ) -> None:
        """Put it together; `begin` sets it to work."""
        record = started.run
        self.backend = backend
        self.settings = of_run(settings, self)
        self.record: RunRecord = record
        self.resumed = started.is_resumed
        self.starting_step = record.last_step + 1
        self.place = place
        self._began = time.monotonic()
        self._is_finished = False
        self._is_forked = False
        self._exit_code = 0
        self._finish_timeout: float | None = settings.finish_timeout or None
        """Seconds that `finish` waits for artifacts; None: as long as it takes."""
        self._lock = threading.RLock()
        self._push_lock = threading.RLock()
        self._artifacts = LoggedArtifacts()
        self._sources: dict[str | None, Sources] = {}
        self._alerts: dict[str, float] = {}
        self._pushed_at = self._beat_at = self._began
        self._patch: RunPatch | None = None
        self._trial: Trial | None = None
        self._watched: Watching | None = None
        self._console: Console | None = None
        self._collected: Future[surroundings.Surroundings] | None = None
        self._stop_ticking: Callable[[], None] | None = None

        self._config = RunConfig(
            record.config,
            allow_changes=allow_val_change,
            resolver=self._use_from_config,
            check=lambda: self._check("config"),
            noted=self._note,
        )
        self._summary = Summary(
            record.summary,
            check=lambda: self._check("summary"),
            media=self._log_media,
            noted=self._note,
        )
        self._metrics = metrics.of_run(record, self._earlier_rows)
        earlier_seconds = record.runtime_seconds if started.is_resumed else 0.0
        self._rows = rows.Rows(
            self._new_spool(),
            self.summary,
            self._metrics,
            step=self.starting_step,
            started_at=self._began - earlier_seconds,
        )
        spool, ignored = self._rows.spool, settings.ignore_globs
        self._files = saved_files.SavedFiles(backend, record.key, place.files, spool, ignored)
        self._is_made = True

    # --- what it is ---

    @property
    def id(self) -> str:
        return self.record.run_id

    @property
    def entity(self) -> str:
        return self.record.entity

    @property
    def project(self) -> str:
        return self.record.project

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def url(self) -> str | None:
        """Where the run is; None while offline."""
        if self.offline:
            term.warn_once("An offline run has no URL until it is synced")
            return None
        return f"{self.project_url}/runs/{self.id}"

    @property
    def project_url(self) -> str | None:
        """Where the run's project is; None while offline."""
        return None if self.offline else f"{self.backend.url}/{self.entity}/{self.project}"

    @property
    def sweep_url(self) -> str | None:
        """Where the sweep is that the run belongs to; None without one, and while offline."""
        if self.sweep_id is None or self.offline:
            return None
        return f"{self.project_url}/sweeps/{self.sweep_id}"

    def get_url(self) -> str | None:
        return self.url

    def get_project_url(self) -> str | None:
        return self.project_url

    def get_sweep_url(self) -> str | None:
        return self.sweep_url

    def project_name(self) -> str:
        return self.project

    @property
    def name(self) -> str:
        return self.record.name

    @name.setter
    def name(self, value: str) -> None:
        self._update("name", RunPatch(name=value))

    @property
    def notes(self) -> str | None:
        return self.record.notes

    @notes.setter
    def notes(self, value: str | None) -> None:
        self._update("notes", RunPatch(notes=_cleared(value)))

    @property
    def tags(self) -> tuple[str, ...]:
        return self.record.tags

    @tags.setter
    def tags(self, value: Sequence[str] | str | None) -> None:
        tags = tuple(strings(value, "Tags"))
        # a folder has only what was given here, not the tags that the run has at home
        before = None if self.offline else self.record.tags
        self._update("tags", RunPatch(tags=tags, tags_before=before))

    @property
    def group(self) -> str:
        """Empty without one."""
        return self.record.group or ""

    @group.setter
    def group(self, value: str | None) -> None:
        self._update("group", RunPatch(group=_cleared(value)))

    @property
    def job_type(self) -> str:
        """Empty without one."""
        return self.record.job_type or ""

    @job_type.setter
    def job_type(self, value: str | None) -> None:
        self._update("job_type", RunPatch(job_type=_cleared(value)))

    @property
    def sweep_id(self) -> str | None:
        return self.record.sweep_id

    @property
    def step(self) -> int:
        """The step that the next `log` writes."""
        return self._rows.step

    @property
    def history_step(self) -> int | None:
        """The step at which something is logged now (ART-11); None before any row."""
        return self.step if self.step > 0 else None

    @property
    def start_time(self) -> float:
        return self.record.created_at.timestamp()

    @property
    def dir(self) -> str:
        """A folder for the run's files; what is in it is stored when the run finishes."""
        return self._files.folder

    @property
    def sync_dir(self) -> str:
        """The folder to give to `lineal sync` while offline; else `dir`."""
        return self.place.offline_folder or self.dir

    @property
    def offline(self) -> bool:
        return self.settings.mode == "offline"

    @property
    def disabled(self) -> bool:
        return False

    def pin_config_keys(self, keys: Sequence[str] = ()) -> None:
        """Do nothing: these are what W&B shows first on the page of a run."""
        self._check("pin_config_keys")

    def status(self) -> Status:
        self._check("status")
        pending = self._rows.spool.pending_count() + self._artifacts.waiting_count()
        return Status(sync_items_total=pending, sync_items_pending=pending)

    def __repr__(self) -> str:
        return f"<Run {self.path} ({self.name})>"

    def __reduce__(self) -> tuple[Any, ...]:
        from lineal.client import attach  # makes runs, and so loads this module

        return attach.reduced(self)

    # --- for the rest of the SDK ---

    def begin(self, call: surroundings.Call) -> None:
        """Tell others that the run goes on, capture its surroundings, and keep what is printed.

        From now on what is logged moves to the backend by itself. Raises Unavailable.
        """
        self._rows.spool.begin()
        if self.settings.console != "off":
            self._console = Console(self._keep_console)
        worker = session.worker()
        self._collected = worker.submit(lambda: surroundings.collect(self.settings, call))
        self._stop_ticking = worker.every_tick(self._tick)

    def flush(self) -> None:
        """Bring all that was logged so far to the backend."""
        with self._push_lock:
            spool = self._rows.spool
            batches, change_count, pushed_count = spool.pending(), spool.change_count(), 0
            if batches:
                self.backend.append_lines(self.record.key, batches)
            try:
                self._push_values()
                pushed_count = change_count
            finally:  # last: the summary of what is left there may lag behind
                if batches or pushed_count:
                    spool.moved(batches, pushed_count)
        self._pushed_at = time.monotonic()

    def warn_of(self, error: LinealError) -> None:
        """Say why the run was not stored just now, from time to time."""
        term.warn_once(
            f"Run {self.path} cannot be stored at present: {error.message.rstrip('.')}. "
            "Nothing is lost; it is tried again",
            key="tick",
            again_seconds=300,
        )

    def keep_artifact(self, artifact: Artifact) -> None:
        """Remember a logged artifact, so that `finish` can wait for it."""
        if self._is_forked:  # such a child often ends without finishing anything
            artifact.wait()
            return
        self._artifacts.add(artifact)

    def wait_for_collection(self, path: ArtifactPath) -> BaseException | None:
        """Wait for what this run logs to a collection: it may ask for that now.

        Returns why the last of it was not stored, None if it was; to raise that is for `finish`.
        """
        if (path.entity, path.project) != (self.entity, self.project):
            return None
        failure = None
        for artifact in self._artifacts.all():
            if artifact.name.partition(":")[0] == path.name:
                failure = artifact._failure()
        return failure

    def after_fork(self) -> None:
        """Become another writer of the same run, in a forked child (RUN-16)."""
        self._is_forked = True
        self._lock, self._push_lock = threading.RLock(), threading.RLock()
        self._artifacts = LoggedArtifacts()
        self._collected = None
        self._stop_ticking = None
        self._rows.spool.disown()
        self._rows.after_fork(self._new_spool())
        self._files.after_fork(self._rows.spool)
        self.summary._after_fork()
        self.config._after_fork()
        if self._console is not None:
            self._console.after_fork()

    # --- private ---

    def _check(self, what: str) -> None:
        if self._is_finished:
            raise UsageError(
                f"Run {self.path} is finished, so `{what}` is not possible; re-open it with "
                f"init(id={self.id!r}, resume='allow')"
            )

    def _new_spool(self) -> Spool:
        writer = Writer(self.entity, self.project, self.id, self.record.key, new_id(12))
        return Spool(self.place.spool, writer, self._spool_opened)

    def _spool_opened(self) -> None:
        if self._is_forked and self._stop_ticking is None:
            try:
                self._stop_ticking = session.worker().every_tick(self._tick)
            except Unavailable as error:
                term.warn_once(f"{error.message}. What is logged here is stored at the end")

    def _keep_console(self, line: bytes) -> None:
        self._rows.spool.append(Stream.CONSOLE, line)

    def _earlier_rows(self) -> Iterable[Mapping[str, Any]]:
        from lineal.client.run import resuming  # few runs go on with a mean

        return resuming.rows_so_far(self.backend, self.record)

    def _note(self, values: Mapping[str, Any]) -> None:
        self._rows.spool.change(json.dumps(values).encode())

    def _update(self, what: str, patch: RunPatch) -> None:
        self._check(what)
        changed = self.backend.update_run(self.record.key, patch)
        # the rest stays: a record in an offline folder does not know what the run was before
        fields = set(patch._fields).intersection(changed._fields)
        said = {each for each in fields if getattr(patch, each) != patch._field_defaults[each]}
        self.record = self.record._replace(**{field: getattr(changed, field) for field in said})

    def _runtime_seconds(self) -> float:
        """Seconds since this attempt began."""
        return time.monotonic() - self._began

    def _push_values(self) -> None:
        """Send what changed of config and summary; call with the push lock held."""
        taken = None
        try:
            with deferred():  # else Ctrl-C may leave them taken and nobody sends them
                taken = self._taken_values()
            if taken != RunPatch():
                self.backend.update_run(self.record.key, taken)
        except BaseException:
            if taken is not None:
                self._put_back(taken)
            raise

    def _taken_values(self) -> RunPatch:
        config = self.config._take_changes()
        summary, removed = self.summary._take_changes()
        patch, self._patch = self._patch or RunPatch(), None
        return patch._replace(
            config=config or None, summary=summary or None, summary_removed=removed
        )

    def _put_back(self, taken: RunPatch) -> None:
        self.config._put_back(taken.config or {})
        self.summary._put_back(taken.summary or {}, taken.summary_removed)
        left = taken._replace(config=None, summary=None, summary_removed=())
        self._patch = self._patch or left

    def _tick(self) -> None:
        """Called every second or so by the worker; whatever fails is tried again next time.

        While the run is being finished, which may take hours, it only says that it is alive.
        """
        now = time.monotonic()
        pause = min(PUSH_MAX_SECONDS, 1.0 + (now - self._began) * PUSH_GROWTH)
        try:
            if not self._is_finished:
                self._artifacts.warn_of_failed()
                if self._trial is not None:
                    self._trial.tick()
                if now - self._pushed_at >= pause:
                    self._store_surroundings()
                    self.flush()
                    self._files.store_changed()
            if now - self._beat_at >= self.settings.heartbeat_seconds and not self._is_forked:
                self._beat_at = now
                self._beat()
        except LinealError as error:
            self._pushed_at = now
            self.warn_of(error)
        except Exception as error:  # noqa: BLE001 - a tick must not kill the worker
            term.warn_once(f"Run {self.path}: {error!r}", key="tick", again_seconds=300)

    def _beat(self) -> None:
        with self._push_lock:  # no beat comes after `_stop_ticks`
            if self._stop_ticking is not None:
                self.backend.heartbeat(self.record.key, self._runtime_seconds())

    def _stop_ticks(self) -> None:
        with self._push_lock:
            stop, self._stop_ticking = self._stop_ticking, None
        if stop is not None:
            stop()

    def _surroundings(self, *, wait: bool) -> surroundings.Surroundings | None:
        """Return what was captured at the start when it is there, until it is stored."""
        collected = self._collected
        if collected is None or not (wait or collected.done()):
            return None
        try:
            found = collected.result()
        except Exception as error:  # noqa: BLE001 - captures must never fail a run
            term.warning(f"Could not capture the surroundings of the run: {error!r}")
            self._forget_surroundings()
            return None
        self._patch = found.patch
        if found.code_path:
            self.config._own(code_path=found.code_path)
        return found

    def _store_surroundings(self) -> None:
        found = self._surroundings(wait=False)
        if found is not None:
            self._files.store(found.contents, found.copies)
            self._forget_surroundings()

    def _forget_surroundings(self) -> None:
        self._collected = None

    # --- what the callbacks of libraries ask of a run ---

    @property
    def _attach_id(self) -> str:
        """What Lightning sends to a process that is to go on with this run."""
        return f"{self.settings.mode}:{self.path}"

    def _label(self, **_: Any) -> None:
        """Do nothing: it tells W&B who made the run."""

    # --- what `Run` does ---

    def _use_from_config(self, key: str, value: Any) -> Artifact:
        raise NotImplementedError("Run does this")

    def _log_media(self, value: Any, key: str) -> Any:
        raise NotImplementedError("Run does this")


def _cleared(value: str | None) -> str:
    """Return what a patch says of a text that None takes away."""
    return "" if value is None else value
