"""Bytes on their way from a store, over a network that may fail half-way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from lineal.errors import NoSpace, Unavailable

ATTEMPTS = 3
"""Of reading an object's bytes, by `repeated`, and of every request, by the stores' libraries: they
share the timeout among them, and repeat only what begins an answer."""

REPEATED_AFTER_SECONDS = 0.2
"""After the first failure, and twice that after the second."""


def repeated(work: Callable[[], str], target: str) -> str:
    """Write to a new file, and do it again where a failure may pass by itself."""
    for attempt in range(1, ATTEMPTS):
        try:
            return work()
        except NoSpace:
            raise  # that does not pass while it is fetched again
        except Unavailable:
            if os.path.exists(target):
                os.unlink(target)
            time.sleep(REPEATED_AFTER_SECONDS * attempt)
    return work()
