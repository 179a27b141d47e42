"""Loading a module of ours when it is first wanted."""

from __future__ import annotations

import os
from _thread import RLock
from collections.abc import Callable
from types import ModuleType

_loading = RLock()
# A fork while another thread imports would leave the child waiting for that import for ever.
os.register_at_fork(
    before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release
)


def load_module(name: str) -> ModuleType:
    """Import a module by its full name."""
    from importlib import import_module  # only what is wanted for the first time comes here

    with _loading:
        return import_module(name)


def modules_of(package: str) -> Callable[[str], ModuleType]:
    """Return a `__getattr__` by which a package has its modules, each loaded when it is wanted."""

    def module(name: str) -> ModuleType:
        full = f"{package}.{name}"
        try:
            return load_module(full)
        except ModuleNotFoundError as error:
            if error.name != full:
                raise
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None

    return module
