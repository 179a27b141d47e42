"""`sys.exit` from the import on: `sys.exit(main())` looks it up before `main` begins a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_before = sys.exit
_told: list[Callable[[Any], None]] = []


def leave(code: Any = None, /) -> Any:
    """Tell whoever wants to know with which code the program is to be left, and do so."""
    for tell in _told:
        tell(code)
    _before(code)


def tell(listener: Callable[[Any], None]) -> None:
    """Let a function hear the code of each `sys.exit`, of whoever took it after the import."""
    _told.append(listener)


sys.exit = leave
