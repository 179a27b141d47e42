"""Python's collector of cycles: looking for garbage less often while much is made that is none.

It looks at every object that stays, again and again, when many are made at a time. What is not
part of a cycle is freed at once in any case.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 20_000
"""New objects between two looks, instead of 700."""
_FROZEN_BY_PYTHON = 1000
"""More than Python 3.12 freezes itself as it starts; other versions freeze none."""


class _State:
    """What `seldom_collected` is to put back in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.usual: list[tuple[int, int, int]] = []
        """The thresholds to go back to, once for each block that is under way."""

    def begin_anew(self) -> None:
        """After a fork the other threads are gone, and one of them may have held the lock."""
        self.lock = threading.Lock()
        if self.usual:
            gc.set_threshold(*self.usual[0])
            self.usual.clear()


_state = _State()
os.register_at_fork(after_in_child=_state.begin_anew)


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collector while modules are loaded, and count what they made as old.

    SQLAlchemy alone is worth 40 ms of looking while it is loaded, and as much again after.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() < _FROZEN_BY_PYTHON:  # somebody else's frozen objects stay so
            gc.freeze()
            gc.unfreeze()  # what is young now is old without having been looked at
        if collects:
            gc.enable()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the collector look less often while thousands of records are made.

    It goes on, so that what other threads leave behind meanwhile does not pile up. A fifth of the
    time of logging 10,000 small files, a third of that of a large lineage graph.
    """
    with _state.lock:
        usual = _state.usual[0] if _state.usual else gc.get_threshold()
        _state.usual.append(usual)
        if 0 < usual[0] < SELDOM:  # 0: it is switched off
            gc.set_threshold(SELDOM, *usual[1:])
    try:
        yield
    finally:
        with _state.lock:
            if _state.usual:
                _state.usual.pop()
                if not _state.usual:
                    gc.set_threshold(*usual)
