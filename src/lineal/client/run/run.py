"""`Run`: one execution of a program, what went in, what came out."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from enum import Enum
from operator import index
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal, Self, SupportsFloat, SupportsIndex

from lineal.client import term
from lineal.client.exit_code import code_of, words_of
from lineal.client.run import metrics, rows, saved_files
from lineal.client.run.core import Place, RunCore, Status
from lineal.client.run.metrics import Metric
from lineal.client.shown import Shown, of_summary
from lineal.core import full_names, limits
from lineal.core.records import RunPatch, RunState, Stream
from lineal.errors import ArtifactsFailed, Invalid, WaitTimeoutError

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact
    from lineal.client.run.artifacts import Names, Pathlike
    from lineal.client.run.config import RunConfig
    from lineal.client.run.watching import Watching
    from lineal.core.records import OnUnchanged

__all__ = ["AlertLevel", "Place", "Run", "Status"]

ALERT_TITLE_MAX = 64
ALERT_WAIT_SECONDS = 60.0


class AlertLevel(Enum):
    """How bad it is that an alert tells of."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Run(RunCore, Shown):
    """A run; made by `lineal.init`. A context manager that finishes it (RUN-2)."""

    @property
    def config_static(self) -> RunConfig:
        """A copy of the config as it is now; what is set there changes nothing else."""
        return copy.copy(self.config)

    # --- history ---

    def log(
        self,
        data: Mapping[str, Any] = rows.NOTHING,
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        """Log values as a row of the history (RUN-25).

        Without `step` each call is one row, unless commit=False lets the row grow; `log()` ends
        such a row. With `step`
        the row grows until the step changes or commit=True; a step that lies behind is dropped
        with a warning. In `shared` mode `step` is ignored. Raises TypeError for values that cannot
        be logged, Invalid for a step above 2**63 - 1, TrialStopped where a sweep ends its trial.
        When this returns, the values survive the death of the process.
        """
        if self._is_finished:
            self._check("log")
        if step is not None and self.settings.mode == "shared":
            term.warn_once(
                "log(step=…): the step is ignored in shared mode, as other processes log, too; use "
                "define_metric for another x axis"
            )
            step = None
        self._rows.log(data, step, commit, self._log_media)
        if self._trial is not None:
            self._trial.logged(data)

    def define_metric(
        self,
        name: str,
        step_metric: str | Metric | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
        objective: str | None = None,
    ) -> Metric:
        """Say how a metric is summarised and drawn (RUN-26).

        name: may end in `*`. summary: any of min, max, mean, best, first, last, none, by commas;
        `loss` with `min` is then `summary["loss"]["min"]`. goal (also: objective): minimize or
        maximize. overwrite: forget what was said before, instead of adding to it.
        """
        self._check("define_metric")
        metric = metrics.define(
            name,
            step_metric=step_metric,
            step_sync=step_sync,
            hidden=hidden,
            summary=summary,
            goal=goal or objective,
        )
        if self._metrics.add(metric, overwrite=bool(overwrite)):
            keys = self._metrics.keys_of(metric.name, self.summary)
            if keys:
                self._metrics.summarise_again(keys, rows.so_far(self), self.summary)
        self.config._own(metrics=self._metrics.as_config())
        return metric

    def alert(
        self,
        title: str,
        text: str = "",
        level: AlertLevel | str | None = None,
        wait_duration: Any = None,
    ) -> None:
        """Print an alert and keep it with the run.

        title: cut after 64 characters. level: INFO unless given. wait_duration: seconds (or a
        timedelta) during which the same title is not repeated. Raises Invalid for no title, an
        unknown level, or a duration that is none.
        """
        self._check("alert")
        level = str(getattr(level, "value", level) or "INFO").upper()
        levels = [one.value for one in AlertLevel]
        if level not in levels:
            raise Invalid(f"alert(level={level!r}): use one of {', '.join(levels)}")
        title = "" if title is None else str(title)  # an exception, say
        if not title:
            raise Invalid("An alert needs a title")
        if len(title) > ALERT_TITLE_MAX:  # an error here would end a training that caught one
            title = title[: ALERT_TITLE_MAX - 1] + "…"
        seconds = getattr(wait_duration, "total_seconds", lambda: wait_duration)()
        if not isinstance(seconds, SupportsFloat | None):
            raise Invalid(f"alert(wait_duration={wait_duration!r}): give seconds or a timedelta")
        now, last = time.monotonic(), self._alerts.get(title)
        pause = ALERT_WAIT_SECONDS if seconds is None else float(seconds)
        if last is not None and now - last < pause:
            return
        self._alerts[title] = now
        text = str(text)
        event = {"_type": "alert", "title": title, "text": text, "level": level}
        line = json.dumps({**event, "_timestamp": time.time()})
        self._rows.spool.append(Stream.EVENTS, line.encode())
        (term.info if level == "INFO" else term.warning)(f"{title}: {text}" if text else title)

    def write_logs(self, text: str) -> None:
        """Add lines to the run's console output without printing them."""
        self._check("write_logs")
        if not isinstance(text, str):
            raise TypeError(f"write_logs takes a text, not {text!r}")
        if self._console is not None:
            self._console.write(text if text.endswith("\n") else text + "\n")

    # --- artifacts ---

    def log_artifact(
        self,
        artifact_or_path: Artifact | Pathlike,
        name: str | None = None,
        type: str | None = None,
        aliases: Names = None,
        tags: Names = None,
        *,
        on_unchanged: OnUnchanged = "reuse",
    ) -> Artifact:
        """Log an artifact as an output of this run and return it at once (ART-38).

        A path is a file, a folder or a `scheme://` reference. `artifact.wait()` blocks until it
        is stored; `finish` waits for all. on_unchanged, when the collection has this content
        already: `reuse` that version (aliases move to it), `update_metadata` of it as well, or
        make a `new_version` (SEM-3). Raises Invalid for a bad name, type, alias or tag.
        """
        self._check("log_artifact")
        return self._logged(
            artifact_or_path,
            name=name,
            type=type,
            aliases=aliases,
            tags=tags,
            on_unchanged=on_unchanged,
        )

    def upsert_artifact(
        self,
        artifact_or_path: Artifact | Pathlike,
        name: str | None = None,
        type: str | None = None,
        aliases: Names = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Contribute to a version that several runs write together (ART-44).

        Once it is finished this run is one of its producers, and it has these aliases, too, as
        well as the longest TTL that was contributed, unless whoever finishes sets one.
        distributed_id: by default the run's group; TypeError if there is neither. Raises
        UsageError for what is a version already.
        """
        return self._distributed(
            "upsert_artifact", artifact_or_path, name, type, aliases, distributed_id, False
        )

    def finish_artifact(
        self,
        artifact_or_path: Artifact | Pathlike,
        name: str | None = None,
        type: str | None = None,
        aliases: Names = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Make the contributions of all `upsert_artifact` calls, and this one, a version (ART-44).

        Description and metadata are those of this one. Its `wait` raises Conflict for different
        content at one path, and NotFound where nothing was contributed under this id and this call
        has no files either.
        """
        return self._distributed(
            "finish_artifact", artifact_or_path, name, type, aliases, distributed_id, True
        )

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,
        aliases: Names = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Record an artifact as an input of this run and return it (SEM-6).

        A draft is stored first, as made by the user, and waited for (SEM-7). Raises NotFound, or
        Invalid (a ValueError) when `type` is not the artifact's.
        """
        self._check("use_artifact")
        from lineal.client.run import artifacts as run_artifacts  # loads all of Artifact

        return run_artifacts.use(self, artifact_or_name, type=type, aliases=aliases)

    def link_artifact(
        self, artifact: Artifact, target_path: str, aliases: Names = None
    ) -> Artifact | None:
        """Link a version into the collection `[[entity/]project/]name`; a draft is logged first."""
        self._check("link_artifact")
        from lineal.client.run import artifacts as run_artifacts  # loads all of Artifact

        return run_artifacts.link(self, artifact, target_path, aliases)

    def log_model(self, path: Pathlike, name: str | None = None, aliases: Names = None) -> Artifact:
        """Log a file or folder as an artifact of type `model` (ART-46)."""
        self._check("log_model")
        return self._logged(path, name=name, type="model", aliases=aliases)

    def use_model(self, name: str) -> str:
        """Use and download a model; return its one file, or its folder.

        Raises AssertionError unless the artifact's type contains `model` (ART-46).
        """
        self._check("use_model")
        from lineal.client.run import artifacts as run_artifacts  # loads all of Artifact

        return run_artifacts.use_model(self, name)

    def link_model(
        self,
        path: Pathlike,
        registered_model_name: str,
        name: str | None = None,
        aliases: Names = None,
    ) -> Artifact | None:
        """Log a model and link it to a registered model; aliases are those of the link (ART-46)."""
        self._check("link_model")
        from lineal.client.run import artifacts as run_artifacts  # loads all of Artifact

        return run_artifacts.link_model(self, path, registered_model_name, name, aliases)

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Log the source files below `root` as an artifact of type `code` (COD-3, COD-6).

        Honours `.gitignore` and `.linealignore`; leaves out what looks like a secret and says
        so. What the run took for this name before is in it, too. Nothing found: a warning, and
        None.
        """
        self._check("log_code")
        if self.settings.disable_code:
            term.warning("log_code does nothing: saving code is disabled")
            return None
        from lineal.client.run import sources  # loads all of Artifact

        return sources.log_code(self, root or ".", name, include_fn, exclude_fn)

    # --- files ---

    def save(
        self,
        glob_str: Pathlike | None = None,
        base_path: str | None = None,
        policy: str = "live",
        glob: bool = True,
    ) -> list[str]:
        """Store plain files with the run and return their local paths (RUN-28).

        policy: `live` stores again whenever the file changes, `now` once and before this
        returns, `end` when the run finishes.
        """
        self._check("save")
        if glob_str is None:
            return []
        own = self.place.files
        choices = saved_files.choose(glob_str, base_path, policy, is_glob=glob, folder=own)
        if not choices:
            term.warning(saved_files.matches_nothing(glob_str))
        self._files.add(choices)
        return [choice.local for choice in choices]

    def restore(
        self,
        name: str,
        run_path: str | None = None,
        replace: bool = False,
        root: str | None = None,
    ) -> IO[str] | None:
        """Fetch a file of this or another run and return it opened (RUN-28).

        root: folder to put it into, by default `run.dir`. Raises Invalid (a ValueError) when
        there is no such file.
        """
        self._check("restore")
        from lineal.client.run import restoring  # few runs restore files

        return restoring.restore(self, name, run_path, replace=replace, root=root)

    def watch(
        self,
        models: Any,
        criterion: Any = None,  # W&B draws it
        log: Literal["gradients", "parameters", "all"] | None = "gradients",
        log_freq: float = 1_000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> None:
        """Keep histograms of a torch model's gradients or parameters in the history (RUN-29).

        models: a module, or a list of them. log: what to keep; None keeps only the number of
        parameters, in the config. log_freq: of how many passes one is kept. idx: number of the
        first model; keys of those above 0 say it. They join the row that the next `log` ends.
        Raises TypeError for what is no module, Invalid (a ValueError) for a model that is watched.
        """
        self._check("watch")
        models = models if isinstance(models, (list, tuple)) else [models]
        for model in models:
            if not callable(getattr(model, "named_parameters", None)):
                raise TypeError(f"watch takes torch modules, not a {type(model).__name__}")
        if log_graph:
            term.warn_once("watch keeps no graph of a model")
        watching = self._watching()
        watching.add(models, log, log_freq, idx)
        self.config._own(parameters=watching.parameter_counts())

    def unwatch(self, models: Any = None) -> None:
        """Take back what `watch` began, for these models or for all."""
        self._check("unwatch")
        if models is not None and not isinstance(models, (list, tuple)):
            models = [models]
        self._watching().remove(models)

    def _watching(self) -> Watching:
        if self._watched is None:
            from lineal.client.run.watching import Watching  # few runs watch a model

            self._watched = Watching(self._log_watched)
        return self._watched

    def _log_watched(self, values: Mapping[str, Any]) -> None:
        if not self._is_finished:  # the model may be trained on
            self.log(values, commit=False)

    def mark_preempting(self) -> None:
        """Say that the machine is about to be taken away (RUN-20)."""
        self._check("mark_preempting")
        self._update("mark_preempting", RunPatch(state=RunState.PREEMPTING))

    # --- in a notebook ---

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Return the run itself: what is copied and holds it, such as a trainer, goes on in it."""
        return self

    def _to_show(self) -> tuple[str, list[tuple[str, Any]]]:
        return f"Run {self.path} ({self.name})", of_summary(self.summary)

    # --- the end ---

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """Wait for all uploads and close the run (RUN-29, ART-39).

        exit_code: of 32 bits; not 0 makes the run failed. Raises ArtifactsFailed naming each
        artifact that was not stored, unless `raise_on_failed_artifacts` is off; the run is then
        failed. A second call does nothing, unless the first one raised something else, such as
        NoSpace: then it does what is left. So where uploads take longer than `finish_timeout`:
        that is printed, or with `finish_timeout_raises` a WaitTimeoutError; they go on, and are
        waited for at the end of the process. In a forked child only its own lines are written.
        """
        if not isinstance(exit_code, SupportsIndex | None):
            raise TypeError(f"finish(exit_code={exit_code!r}): give a whole number; 0 is success")
        from lineal.client.run import finishing  # last, so that `init` need not wait for it

        code = index(exit_code or 0)
        limits.check_exit_code(code)  # here: it would be that of the next call, too
        finishing.finish(self, code, quiet=bool(quiet))

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console is not None and not self._is_finished:
            # Python prints it once the run is over, if at all.
            self._console.write(words_of(kind, value, trace), level="error")
        try:
            self.finish(exit_code=code_of(kind, value))
        except (ArtifactsFailed, WaitTimeoutError) as error:
            if kind is None:
                raise
            term.error(error.message)  # the exception on its way tells more

    # --- private ---

    def _log_internal_artifact(self, artifact: Artifact) -> Artifact:
        """Log an artifact that Lineal itself made, such as a logged table."""
        self._check("log")
        return self._logged(artifact)

    def _save_medium(self, name: str, data: bytes) -> None:
        """Store a file with the run, within seconds."""
        self._files.add_medium(name, data)

    def _log_media(self, value: Any, key: str) -> Any:
        from lineal.client import media  # only runs that log tables or images need it

        return media.log_value(value, self, key, self.step)

    def _logged(self, artifact_or_path: Artifact | Pathlike, **how: Any) -> Artifact:
        from lineal.client.run import artifacts as run_artifacts  # loads all of Artifact

        return run_artifacts.log(self, artifact_or_path, **how)

    def _distributed(
        self,
        method: str,
        artifact_or_path: Artifact | Pathlike,
        name: str | None,
        type: str | None,
        aliases: Names,
        distributed_id: str | None,
        is_final: bool,
    ) -> Artifact:
        self._check(method)
        from lineal.client.run import artifacts as run_artifacts  # loads all of Artifact

        return run_artifacts.log(
            self,
            artifact_or_path,
            name=name,
            type=type,
            aliases=aliases,
            distributed_id=run_artifacts.distributed_id(self, distributed_id),
            is_final=is_final,
        )

    def _use_from_config(self, key: str, value: Any) -> Artifact:
        from lineal.client.run import artifacts as run_artifacts  # loads all of Artifact

        if isinstance(value, str) and (number := full_names.artifact_id(value)) is not None:
            value = {"id": number}
        if isinstance(value, dict):
            return run_artifacts.use_stub(self, key, value)
        return run_artifacts.use(self, value, type=None, aliases=None)
