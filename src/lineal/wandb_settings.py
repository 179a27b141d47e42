"""Settings of W&B that `lineal.Settings` is given by scripts written for W&B."""

from __future__ import annotations

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


def our_name(name: str) -> str:
    """Return what a setting is called here; `_…` is W&B's old spelling of `x_…`."""
    name = f"x{name}" if name.startswith("_") else name
    return _SPELLINGS.get(name, name)


def means_nothing_here(name: str) -> bool:
    """Tell a setting that only W&B has, and whose absence changes nothing that is kept."""
    return name in _ONLY_WANDB or (name.startswith("x_") and name not in _CHANGES_THE_RECORD)
