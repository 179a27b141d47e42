"""A run that does nothing, for `mode="disabled"`: code that logs runs unchanged (RUN-34)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from lineal.client import rows, session
from lineal.client.rows import Metric
from lineal.client.run import Run, Status
from lineal.client.run_config import RunConfig
from lineal.client.summary import Summary
from lineal.client.values import flat, plain
from lineal.config import Settings, acting_user, default_entity
from lineal.core.records import RunKey, RunPatch, RunRecord, RunState

PROJECT = "dummy"


class DisabledArtifact:
    """Stands for any artifact: takes everything, holds nothing."""

    def __init__(self, name: str = "disabled", type: str = "disabled") -> None:
        self.name = name
        self.type = type
        self.version = "v0"
        self.aliases: list[str] = []
        self.tags: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.description: str | None = None
        self.size = 0

    def wait(self, timeout: float | None = None) -> DisabledArtifact:
        return self

    def is_draft(self) -> bool:
        return False

    def download(self, root: str | None = None, **_: Any) -> str:
        """Return `root`, or a new empty folder."""
        return root or tempfile.mkdtemp(prefix="lineal-disabled-")

    checkout = download

    def files(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def file(self, *_: Any, **__: Any) -> str:
        return self.download()

    def get(self, name: str) -> None:
        return None

    def json_encode(self) -> dict[str, Any]:
        return {"_type": "artifactVersion", "name": self.name}

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_, **__: None


class DisabledRun(Run):
    """Keeps config and summary in memory and nothing else."""

    def __init__(self, settings: Settings, config: Mapping[str, Any]) -> None:
        # Not Run.__init__: there is no backend, no spool and no folder.
        self.settings = settings
        self.record = _record(settings, config)
        self.resumed = False
        self.starting_step = 0
        self.config = RunConfig(config, allow_changes=True, resolver=_resolve)
        self.summary = Summary()
        self._metrics = rows.Metrics({}, 0)
        self._folder: str | None = None

    @property
    def url(self) -> str | None:
        return None

    @property
    def step(self) -> int:
        return 0

    @property
    def dir(self) -> str:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="lineal-disabled-")
        return self._folder

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
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        values = {key: plain(value, key, lambda *_: None) for key, value in data.items()}
        self.summary._record(self._metrics.summarised(flat(values), self.summary))

    def define_metric(self, name: str, *args: Any, **kwargs: Any) -> Metric:
        metric = Metric(name, summary=tuple((kwargs.get("summary") or "").split(",")) or ())
        if not metric.summary[0]:
            metric = Metric(name)
        self._metrics.add(metric, overwrite=True)
        return metric

    def alert(self, *_: Any, **__: Any) -> None:
        return None

    def write_logs(self, text: str) -> None:
        return None

    def log_artifact(self, *args: Any, **kwargs: Any) -> Any:
        return _stand_in(*args, **kwargs)

    upsert_artifact = finish_artifact = link_artifact = use_artifact = log_artifact
    log_model = link_model = log_artifact

    def use_model(self, name: str) -> str:
        return _stand_in(name).download()

    def log_code(self, *_: Any, **__: Any) -> Any:
        return DisabledArtifact(type="code")

    def save(self, *_: Any, **__: Any) -> list[str]:
        return []

    def restore(self, *_: Any, **__: Any) -> IO[str] | None:
        return None

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

    def _update(self, what: str, patch: RunPatch) -> None:
        changed = {
            name: value
            for name in ("name", "notes", "group", "job_type", "tags")
            if (value := getattr(patch, name)) is not None
        }
        self.record = self.record._replace(**changed)


def _stand_in(artifact: Any = None, *_: Any, **options: Any) -> DisabledArtifact:
    name = artifact if isinstance(artifact, str) else getattr(artifact, "name", "disabled")
    type_name = options.get("type") or getattr(artifact, "type", "disabled")
    return DisabledArtifact(str(name), str(type_name))


def _resolve(_: str, value: Any) -> DisabledArtifact:
    return _stand_in(value)


def _record(settings: Settings, config: Mapping[str, Any]) -> RunRecord:
    now = datetime.now(UTC)
    tags: Sequence[str] = settings.run_tags or ()
    return RunRecord(
        key=RunKey(0),
        entity=default_entity(settings),
        project=PROJECT,
        run_id=settings.run_id or session.new_id(),
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
