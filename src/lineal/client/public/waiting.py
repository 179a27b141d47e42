"""Waiting for the end of a run that another process carries out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, SupportsFloat

from lineal.core.records import RunState
from lineal.errors import WaitTimeoutError

if TYPE_CHECKING:
    from lineal.client.public.run import Run

POLL_SECONDS = (0.05, 2.0)
"""First and longest pause."""
_GOING_ON = (RunState.PENDING, RunState.RUNNING, RunState.PREEMPTING, RunState.PREEMPTED)


def until_finished(run: Run, timeout: float | None) -> None:
    """Load a run until it is over, however it ended; raises WaitTimeoutError."""
    if not isinstance(timeout, SupportsFloat | None):
        raise TypeError(f"wait_until_finished(timeout={timeout!r}): give seconds")
    pause, longest = POLL_SECONDS
    deadline = None if timeout is None else time.monotonic() + float(timeout)
    run.load()
    while run.state in _GOING_ON:
        left = longest if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeoutError(
                f"Run {'/'.join(run.path)} is still {run.state} after {timeout} s"
            )
        time.sleep(min(pause, left))
        pause = min(2 * pause, longest)
        run.load()
