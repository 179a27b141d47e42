"""Whether to sweep by itself: asked at the end of every run, so it loads and does next to nothing.

The sweep itself (`gc`) asks again under its lock.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from lineal.service.instance import Instance

EVERY = timedelta(days=1)
"""A sweep that runs by itself runs once in this time."""


def may_be_due(instance: Instance) -> bool:
    """Say whether the last sweep is a day ago. A home never swept counts as swept now."""
    marker = os.path.join(instance.home.root, "gc.last")
    now = instance.clock.now()
    try:
        with open(marker, encoding="utf-8") as file:
            last = datetime.fromisoformat(file.read())
    except FileNotFoundError:
        with open(marker, "w", encoding="utf-8") as file:
            file.write(now.isoformat())
        return False
    except (ValueError, OSError):
        return True  # the sweep looks closer, and says what is wrong
    return not last <= now < last + EVERY
