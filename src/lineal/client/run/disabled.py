"""A run that does nothing, for `mode="disabled"`: code that logs runs unchanged (RUN-34)."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from lineal.client import session
from lineal.client.run import rows
from lineal.client.run.config import RunConfig
from lineal.client.run.metrics import Metrics
from lineal.client.run.run import Run, Status
from lineal.client.run.summary import Summary
from lineal.client.values import flat, plain
from lineal.config import Settings, acting_user, default_entity
from lineal.core.ids import new_id
from lineal.core.records import RunKey, RunPatch, RunRecord, RunState
from lineal.files.temporary import TemporaryFolder
from lineal.wandb_settings import of_run

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact

PROJECT = "dummy"


def new_folder() -> str:
    """Make a folder for what a disabled run must have on disk; it goes when the process ends."""
    return tempfile.mkdtemp(dir=_parent().path)


@functools.cache
def _parent() -> TemporaryFolder:
    return TemporaryFolder("lineal-disabled-")


class DisabledRun(Run):
    """Keeps config and summary in memory and nothing else."""

    def __init__(self, settings: Settings, config: Mapping[str, Any]) -> None:
        # Not Run.__init__: there is no backend, no spool and no folder.
        self.settings = of_run(settings, self)
        self.record = _record(settings, config)
        self.resumed = False
        self.starting_step = 0
        self._config = RunConfig(config, allow_changes=True, resolver=self._use_from_config)
        self._summary = Summary(media=lambda *_: None)
        self._metrics = Metrics({}, 0)
        self._console = self._trial = self._watched = None
        self._is_finished = self._is_forked = False
        self._folder: str | None = None
        self._is_made = True

    def __reduce__(self) -> tuple[Callable[..., DisabledRun], tuple[Any, ...]]:
        """Let other processes have a copy, as there is nothing that they could share."""
        defined = self._metrics.as_config()
        return _copied, (self.settings, self.record, self.config.as_dict(), self.summary, defined)

    @property
    def url(self) -> str | None:
        return None

    @property
    def project_url(self) -> str | None:
        return None

    @property
    def sweep_url(self) -> str | None:
        return None

    @property
    def step(self) -> int:
        return 0

    @property
    def dir(self) -> str:
        if self._folder is None:
            self._folder = new_folder()
        return self._folder

    @property
    def sync_dir(self) -> str:
        return self.dir

    @property
    def offline(self) -> bool:
        return False

    @property
    def disabled(self) -> bool:
        return True

    def status(self) -> Status:
        return Status(0, 0)

    def log(
        self,
        data: Mapping[str, Any] = rows.NOTHING,
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        rows.require_values(data)
        values = {key: plain(value, key, lambda *_: None) for key, value in data.items()}
        self.summary._record(self._metrics.summarised(flat(values), self.summary))

    def alert(self, *_: Any, **__: Any) -> None:
        return None

    def write_logs(self, text: str) -> None:
        return None

    def log_artifact(
        self,
        artifact_or_path: Any = None,
        name: str | None = None,
        type: str | None = None,
        *_: Any,
        **__: Any,
    ) -> Artifact:
        if name is None and isinstance(artifact_or_path, (str, os.PathLike)):
            name = f"run-{self.id}-{os.path.basename(os.fspath(artifact_or_path).rstrip('/'))}"
        return self._artifact(artifact_or_path, name, type)

    upsert_artifact = finish_artifact = log_artifact

    def use_artifact(
        self, artifact_or_name: Any = None, type: str | None = None, *_: Any, **__: Any
    ) -> Artifact:
        return self._artifact(artifact_or_name, artifact_or_name, type)

    def link_artifact(
        self, artifact: Any = None, target_path: str | None = None, *_: Any, **__: Any
    ) -> Artifact:
        source = self._artifact(artifact, None, None)
        return self._artifact(None, target_path, source.type)

    def log_model(self, path: Any = None, name: str | None = None, *_: Any, **__: Any) -> Artifact:
        return self.log_artifact(path, name, "model")

    def link_model(
        self, path: Any = None, registered_model_name: str | None = None, *_: Any, **__: Any
    ) -> Artifact:
        return self._artifact(None, registered_model_name, "model")

    def use_model(self, name: str) -> str:
        return self._artifact(None, name, "model").download()

    def log_code(self, root: Any = None, name: str | None = None, *_: Any, **__: Any) -> Artifact:
        return self._artifact(None, name, "code")

    def save(self, *_: Any, **__: Any) -> list[str]:
        return []

    def restore(self, name: str = "disabled", *_: Any, **__: Any) -> IO[str]:
        """Return an empty file, in a folder of its own: none may lie where the real one belongs."""
        return open(self._artifact(None, None, None).get_entry(name).download(), encoding="utf-8")

    def watch(self, models: Any, *_: Any, **__: Any) -> None:
        return None

    def unwatch(self, models: Any = None) -> None:
        return None

    def mark_preempting(self) -> None:
        return None

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        session.run_finished(self)

    def flush(self) -> None:
        return None

    def after_fork(self) -> None:
        return None

    def _use_from_config(self, key: str, value: Any) -> Artifact:
        return self._artifact(value, key, None)

    def _artifact(self, artifact: Any, name: Any, type: str | None) -> Artifact:
        """Return an artifact that holds nothing: this one if it is one, else of this name."""
        from lineal.client.artifact import disabled as disabled_artifact  # loads all of Artifact
        from lineal.client.artifact.artifact import Artifact

        if isinstance(artifact, Artifact):
            return disabled_artifact.logged(self, artifact)
        return disabled_artifact.named(self, str(name or disabled_artifact.NAME), type)

    def _update(self, what: str, patch: RunPatch) -> None:
        changed = {
            name: value
            for name in ("name", "notes", "group", "job_type", "tags")
            if (value := getattr(patch, name)) is not None
        }
        self.record = self.record._replace(**changed)


def _copied(
    settings: Settings,
    record: RunRecord,
    config: dict[str, Any],
    summary: Summary,
    defined: dict[str, Any],
) -> DisabledRun:
    run = DisabledRun(settings, config)
    run.record, run._summary = record, summary
    run._metrics = Metrics(defined, 0)
    return run


def _record(settings: Settings, config: Mapping[str, Any]) -> RunRecord:
    now = datetime.now(UTC)
    tags: Sequence[str] = settings.run_tags or ()
    return RunRecord(
        key=RunKey(0),
        entity=default_entity(settings),
        project=PROJECT,
        run_id=settings.run_id or new_id(),
        name=settings.run_name or "disabled",
        state=RunState.RUNNING,
        notes=settings.run_notes,
        group=settings.run_group,
        job_type=settings.run_job_type,
        tags=tuple(tags),
        config=dict(config),
        summary={},
        metadata={},
        sweep_id=settings.sweep_id,
        user=acting_user(settings),
        git_commit=None,
        git_remote=None,
        host=None,
        program=None,
        created_at=now,
        heartbeat_at=now,
        finished_at=None,
        exit_code=None,
        runtime_seconds=0.0,
        last_step=-1,
        history_count=0,
    )
