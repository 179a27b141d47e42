"""The run that a callback logs to."""

from __future__ import annotations

import lineal
from lineal.errors import UsageError


def active_run(needed_by: str) -> lineal.Run:
    """Return the active run; raises UsageError, naming who needs one, if there is none."""
    if lineal.run is None:
        raise UsageError(f"{needed_by} needs a run: call `lineal.init()` before")
    return lineal.run
