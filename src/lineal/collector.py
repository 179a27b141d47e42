"""Python's collector of cycles: looking for garbage less often while much is made that is none.

It looks at every object that stays, again and again, when many are made at a time. What is not
part of a cycle is freed at once in any case.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 20_000
"""New objects between two looks, instead of 700."""
_FROZEN_BY_PYTHON = 1000
"""More than Python 3.12 freezes itself as it starts; other versions freeze none."""


class _State:
    """What `seldom_collected` is to put back in this process.

    Without a lock: the handler of a signal that interrupts whoever holds one would wait for ever.
    Where threads meet, one of them may be looked at as often as usual.
    """

    def __init__(self) -> None:
        self.blocks: list[None] = []
        """An item for each block that is under way."""
        self.usual: tuple[int, int, int] | None = None
        """The thresholds to go back to."""

    def begin_anew(self) -> None:
        """After a fork the other threads are gone, with their blocks."""
        self.blocks.clear()
        self.restore()

    def restore(self) -> None:
        usual, self.usual = self.usual, None
        if usual is not None:
            gc.set_threshold(*usual)


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
    _state.blocks.append(None)
    found = gc.get_threshold()
    if 0 < found[0] < SELDOM:  # 0: it is switched off
        _state.usual = found
        gc.set_threshold(SELDOM, *found[1:])
    try:
        yield
    finally:
        if _state.blocks:  # a fork in the block has emptied it
            _state.blocks.pop()
        if not _state.blocks:
            _state.restore()
