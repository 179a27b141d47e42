"""What W&B's package and its `Api` have that is not there yet, and what does the same."""

from __future__ import annotations

_CHARTS = "log a chart of lineal.plot, or a figure of matplotlib"
_FILES = "log lineal.Html, or add the files to an artifact"
_CALLBACK = "call run.log in a callback of your own"

INSTEAD = dict.fromkeys(("plots", "visualize"), _CHARTS) | dict.fromkeys(
    ("fastai",),
    _CALLBACK,
)
"""What to do instead, by name. Source: docs/compatibility.md."""

_ALONE = "one instance is one user's; api.viewer says who that is"
_REGISTRY = 'api.project("wandb-registry-NAME").collections() lists what is linked there'
_WATCHING = "ask api.artifacts or api.runs from time to time"
_AGENTS = "start programs by a sweep's agents"

OF_API = (
    dict.fromkeys(("user", "users", "create_user", "team", "create_team", "organization"), _ALONE)
    | dict.fromkeys(("registry", "registries", "create_registry"), _REGISTRY)
    | dict.fromkeys(
        (
            "automation",
            "automations",
            "create_automation",
            "delete_automation",
            "update_automation",
            "integrations",
            "slack_integrations",
            "webhook_integrations",
        ),
        _WATCHING,
    )
    | dict.fromkeys(
        (
            "create_run_queue",
            "job",
            "list_jobs",
            "queued_run",
            "run_queue",
            "upsert_run_queue",
        ),
        _AGENTS,
    )
    | dict.fromkeys(("create_custom_chart",), _CHARTS)
    | dict.fromkeys(("reports",), _FILES)
)
"""The same for attributes of `Api`."""
