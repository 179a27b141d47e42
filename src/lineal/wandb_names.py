"""Names of W&B's package that are not there yet, and what does the same until then."""

from __future__ import annotations

_CHARTS = "log a chart of lineal.plot, or a figure of matplotlib"
_FILES = "log lineal.Html, or add the files to an artifact"
_CALLBACK = "call run.log in a callback of your own"
_INSIDE = "use lineal.Run, lineal.Api, lineal.Settings and lineal.errors"
_TABLE = "log one Table"

INSTEAD = (
    dict.fromkeys(("plots", "visualize"), _CHARTS)
    | dict.fromkeys(("Bokeh", "Graph"), _FILES)
    | dict.fromkeys(
        ("fastai",),
        _CALLBACK,
    )
    | dict.fromkeys(
        ("api", "apis", "env", "sdk", "wandb_run", "wandb_sdk"),
        _INSIDE,
    )
    | dict.fromkeys(("EvalTable",), _TABLE)
)
"""What to do instead, by name. Source: docs/compatibility.md."""
