"""Whether to sweep by itself: asked at the end of every run, so it loads and does next to nothing.

The sweep itself (`gc`) asks again under its lock.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lineal import service
from lineal.core.access import Actor
from lineal.files.refusals import unreadable
from lineal.files.writing import write_whole
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.core.gc import Swept

EVERY = timedelta(days=1)
"""A sweep that runs by itself runs once in this time."""


def sweep_if_due(instance: Instance, actor: Actor) -> Swept | None:
    """Sweep for a short while, if nobody did so today; None if it was not due.

    Raises what `is_due` and `gc.sweep_briefly` do.
    """
    return service.gc.sweep_briefly(instance, actor) if is_due(instance) else None


def is_due(instance: Instance) -> bool:
    """Say whether the last sweep, as `note` wrote it down, is a day ago.

    A home that was never swept counts as swept now, for there cannot be much in it, and so does
    one whose note is damaged: that is written down. Raises NoSpace, MissingFile (a folder is in
    its place) or Unavailable.
    """
    now = instance.clock.now()
    last = _noted(instance)
    if last is None:
        note(instance, now)
        return False
    return not last <= now < last + EVERY


def note(instance: Instance, moment: datetime) -> None:
    """Write down when the home was swept; raises NoSpace or Unavailable."""
    write_whole(_path(instance), moment.isoformat().encode())


def _noted(instance: Instance) -> datetime | None:
    path = _path(instance)
    try:
        with open(path, encoding="utf-8", opener=_open) as file:
            moment = datetime.fromisoformat(file.read())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    return moment if moment.tzinfo is not None else None  # we write no other


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # or to open a pipe would wait for a writer


def _path(instance: Instance) -> str:
    return os.path.join(instance.home.root, "gc.last")
