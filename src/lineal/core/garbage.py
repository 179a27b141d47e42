"""Looking for garbage only when there can be some."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collector of cycles while much is made that stays, such as modules or records.

    It would look through all of it again and again: 40 ms while SQLAlchemy is loaded and 40 more
    after, a third of the time of a large lineage graph. What is not part of a cycle is freed all
    the same.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # somebody else's frozen objects stay so
            gc.freeze()
            gc.unfreeze()  # what is young now is old without having been looked at
        if collects:
            gc.enable()
