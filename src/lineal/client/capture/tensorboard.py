"""What a program writes for TensorBoard becomes rows of the history, too.

TensorBoard's own writer, which PyTorch has, and tensorboardX hand each event to a method of their
`EventFileWriter`; this stands around it. What TensorFlow writes does not come there.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from lineal.client import session

WRITERS = ("tensorboard.summary.writer.event_file_writer", "tensorboardX.event_file_writer")
STEP = "global_step"


def record(root: str | None = None) -> bool:
    """Log to the active run what is written from now on; False where there is no TensorBoard.

    root: keys begin with the path from here to the folder that is written to; by default from the
    first such folder of the run. A second call changes nothing.
    """
    events = _Events(root)
    writers = _writers()
    for writer in writers:
        if not _is_recorded(writer):
            writer.add_event = _also(events.log, writer.add_event)
    return bool(writers)


def is_recording() -> bool:
    return any(map(_is_recorded, _writers()))


def stop() -> None:
    """Log no more of it."""
    for writer in filter(_is_recorded, _writers()):
        writer.add_event = writer.add_event.__wrapped__


def _writers() -> list[Any]:
    found = []
    for name in WRITERS:
        try:
            found.append(import_module(name).EventFileWriter)  # slow optional dependency
        except ImportError:
            continue
    return found


def _is_recorded(writer: Any) -> bool:
    return hasattr(writer.add_event, "__wrapped__")


def _also(log: Callable[[str, Any], None], add_event: Any) -> Any:
    """Return a method that logs the events that it adds."""

    @functools.wraps(add_event)
    def add(self: Any, event: Any, *args: Any, **kwargs: Any) -> None:
        add_event(self, event, *args, **kwargs)
        log(self.get_logdir(), event)

    return add


class _Events:
    """Makes one row of all events that follow each other with the same step."""

    def __init__(self, root: str | None) -> None:
        self._given = self._root = None if root is None else os.path.abspath(root)
        self._run_id: str | None = None
        self._step: int | None = None
        """Run and step of the last event."""
        self._lock = threading.Lock()

    def log(self, folder: str, event: Any) -> None:
        run = session.active_run()
        if run is None or run.disabled:
            return
        from lineal.client.capture.tensorboard_values import values_of  # loads media

        known = values_of(event.summary)
        if not known:
            return
        with self._lock:
            if run.id != self._run_id:
                self._run_id, self._step, self._root = run.id, None, self._given
            if event.step != self._step and self._step is not None:
                run._rows.flush()
            self._step = event.step
            prefix = self._prefix(os.path.abspath(folder))
            row = {f"{prefix}{tag}": value for tag, value in known.items()}
            run.log({**row, STEP: event.step}, commit=False)

    def _prefix(self, folder: str) -> str:
        if self._root is None:
            self._root = folder
        path = os.path.relpath(folder, self._root)
        return "" if path == os.curdir or path.startswith(os.pardir) else f"{path}/"
