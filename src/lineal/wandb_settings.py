"""Settings of W&B that `lineal.Settings` is given by scripts written for W&B."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from typing import Any, TypeVar

S = TypeVar("S")

_SPELLINGS = {
    "root_dir": "dir",
    "x_disable_machine_info": "disable_machine_info",
    "x_disable_meta": "disable_meta",
}
_ONLY_WANDB = frozenset(
    {
        "allow_media_symlink",
        "allow_offline_artifacts",
        "anonymous",
        "api_key",
        "app_url_override",
        "azure_account_url_to_access_key",
        "base_url",
        "capture_loggers",
        "console_chunk_max_bytes",
        "console_chunk_max_seconds",
        "console_multipart",
        "credentials_file",
        "disable_git_fork_point",
        "disable_job_creation",
        "docker",
        "email",
        "force",
        "http_proxy",
        "https_proxy",
        "identity_token_file",
        "insecure_disable_ssl",
        "job_name",
        "job_source",
        "label_disable",
        "launch",
        "launch_config_path",
        "login_timeout",
        "max_end_of_run_history_metrics",
        "max_end_of_run_summary_metrics",
        "notebook_name",
        "organization",
        "relogin",
        "sagemaker_disable",
        "settings_system",
        "show_colors",
        "show_emoji",
        "show_errors",
        "show_info",
        "show_warnings",
        "start_method",
        "stop_on_fatal_error",
        "summary_timeout",
        "summary_warnings",
        "symlink",
        "table_raise_on_max_row_limit_exceeded",
        "use_dot_wandb",
    }
)
"""They say how to reach an account and what to draw on a screen."""
_CHANGES_THE_RECORD = frozenset({"x_save_requirements"})
"""Of W&B's internal settings, `x_…`."""

_BY_MODE = {"_offline": "offline", "_noop": "disabled"}
"""What older scripts ask for, by the mode in which it is True."""
_OF_RUN = {
    "files_dir": "dir",
    "project_url": "project_url",
    "resumed": "resumed",
    "run_url": "url",
    "start_time": "start_time",
    "sweep_url": "sweep_url",
    "sync_dir": "sync_dir",
}
"""What W&B's settings know of the run, by the attribute of the run that has it."""


class _Run:
    """The run that settings are of. A copy of them, in another process perhaps, is of none."""

    def __init__(self, run: object = None) -> None:
        self._found = None if run is None else weakref.ref(run)

    def __call__(self) -> object:
        return None if self._found is None else self._found()

    def __reduce__(self) -> tuple[type[_Run], tuple[()]]:
        return _Run, ()


def of_run(settings: S, run: object) -> S:
    """Return the same settings, which also have what W&B's know of the run."""
    known = copy.copy(settings)
    object.__setattr__(known, "_run", _Run(run))
    return known


def our_name(name: str) -> str:
    """Return what a setting is called here; `_…` is W&B's old spelling of `x_…`."""
    name = f"x{name}" if name.startswith("_") else name
    return _SPELLINGS.get(name, name)


def means_nothing_here(name: str) -> bool:
    """Tell a setting that only W&B has, and whose absence changes nothing that is kept."""
    return name in _ONLY_WANDB or (name.startswith("x_") and name not in _CHANGES_THE_RECORD)


def only_wandb(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of settings that only W&B has, by W&B's names of today."""
    named = {our_name(name): value for name, value in values.items()}
    return {name: value for name, value in named.items() if means_nothing_here(name)}


def read(name: str, given: Mapping[str, Any], settings: Any) -> Any:
    """Return what a script gets for a name that is none of our settings.

    given: see `only_wandb`. Raises AttributeError, which says where the run has it, if they are of
    none.
    """
    run = settings.__dict__.get("_run", _Run())()
    if run is not None and name in _OF_RUN:
        return getattr(run, _OF_RUN[name])
    if name in _BY_MODE:
        return settings.mode == _BY_MODE[name]
    ours = our_name(name)
    if ours in given:
        return given[ours]
    if name in _ONLY_WANDB or name.startswith("x_"):
        return None
    hint = f"; the run has it, as `run.{_OF_RUN[name]}`" if name in _OF_RUN else ""
    raise AttributeError(f"There is no setting `{name}`{hint}")
