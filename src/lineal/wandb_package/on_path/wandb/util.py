"""`lineal.util` where W&B has it, and what Ray asks whether something can be logged."""

from __future__ import annotations

import json
from typing import Any

from lineal.client.values import plain
from lineal.util import *  # noqa: F403 - all of it


def json_dumps_safer(value: Any) -> str:
    """Return a value as JSON; raises TypeError for one that cannot be logged."""
    return json.dumps(plain(value, "value"))
