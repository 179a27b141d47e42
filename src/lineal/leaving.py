"""The end of a process: its memory is left to the system where nobody can tell.

Before it ends, Python looks for garbage three times and frees one by one what it has. That is a
fifth of a short run, nearly all for SQLAlchemy. What is frozen no collection looks at.
"""

from __future__ import annotations

import atexit
import gc
import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import compress
from types import GeneratorType
from typing import Any

_HARMLESS = frozenset({"sqlalchemy", "backports", "yaml"})
"""Libraries whose extension modules make nothing that acts when it is freed."""
_WRITING = frozenset({"_dbm", "_gdbm"})
"""Modules of Python that make what writes when it is freed, though it has no `__del__`."""


class _State:
    """What was asked of this process."""

    is_asked = False
    is_ours = False


_state = _State()


def left_at_exit(*, is_ours: bool = False) -> None:
    """Let the process end without freeing what is in it, if nothing of that acts when it is freed.

    is_ours: a program of our own, in which nothing does. To be called early: functions that are
    registered at `atexit` later are called before.
    """
    _state.is_ours = _state.is_ours or is_ours
    if not _state.is_asked:
        _state.is_asked = True
        atexit.register(_leave)


def _leave() -> None:
    if _state.is_ours or not _acts_when_freed():
        gc.freeze()


def _acts_when_freed() -> bool:
    """Tell whether anybody may see that what is in memory is freed, or is not.

    A file that somebody forgot to close is flushed then, if garbage or a module with functions
    refers to it; a generator leaves its `with`; and nobody knows what extension modules do.
    """
    if any(map(_is_unknown, list(sys.modules))):
        return True
    # of some hundred thousand objects: a loop in Python would take a hundredth of a short run
    found = gc.get_objects()
    kind_of = list(map(type, found))
    kinds = {kind for kind in set(kind_of) if _has_finalizer(kind)}
    flushed = set(map(id, _standard_streams()))
    suspects = compress(found, map(kinds.__contains__, kind_of))
    return any(id(item) not in flushed and _acts(item) for item in suspects)


def _is_unknown(name: str) -> bool:
    if name in _WRITING:
        return True
    library = name.partition(".")[0]
    if library in sys.stdlib_module_names or library in _HARMLESS:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    return isinstance(file, str) and file.endswith((".so", ".pyd"))


def _has_finalizer(kind: type) -> bool:
    module = str(kind.__module__)  # there are classes whose instances name another
    if module.startswith("lineal."):
        return False  # ours do nothing once Python ends
    if module == "sqlite3":
        return kind.__name__ == "Connection"  # its log is written to the database
    return any("__del__" in vars(base) for base in kind.__mro__)


def _acts(item: Any) -> bool:
    """Tell whether something with a finalizer is still open, or waits for something."""
    with suppress(Exception):  # whatever a stranger's attribute raises: it may act
        if isinstance(item, io.IOBase):
            return not item.closed
        if isinstance(item, GeneratorType):
            return item.gi_suspended
        if type(item).__module__ == "sqlite3":
            return any(file for _, _, file in item.execute("PRAGMA database_list"))
    return True


def _standard_streams() -> Iterator[object]:
    """Yield what Python flushes in any case."""
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        if isinstance(stream, io.TextIOWrapper):
            yield from (stream, stream.buffer, getattr(stream.buffer, "raw", None))
