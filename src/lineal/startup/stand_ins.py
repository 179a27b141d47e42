"""Modules that a library imports and does not use here: they are loaded once they are wanted.

SQLAlchemy imports asyncio and importlib.metadata, together a tenth of the time of a short process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

SQLALCHEMY: Mapping[str, Sequence[str]] = {"asyncio": ["iscoroutine"], "importlib.metadata": []}
"""What it imports; and the functions it takes from there at once, to call them much later."""


class _Unloaded(ModuleType):
    """Stands where a module was imported; whatever is asked of it is asked of the module itself."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_load(self), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_load(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_load(self), name)


@contextmanager
def unloaded(modules: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Have imports of these modules load nothing while a library is loaded.

    modules: with each the functions that the library takes from it as it is loaded. Another thread
    that imports one of them meanwhile gets something that behaves like the module; one that imports
    a part of such a package loads that twice.
    """
    stand_ins = [_stand_in(name, modules[name]) for name in modules if name not in sys.modules]
    try:
        yield
    finally:
        for stand_in in stand_ins:
            _give_way(stand_in)


def _stand_in(name: str, functions: Sequence[str]) -> ModuleType:
    made = _Unloaded(name)
    for function in functions:
        vars(made)[function] = _later(made, function)
    sys.modules[name] = made
    package, _, module = name.rpartition(".")
    if package:
        vars(import_module(package)).setdefault(module, made)
    return made


def _later(stand_in: ModuleType, function: str) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        return getattr(_load(stand_in), function)(*given, **named)

    return call


def _load(stand_in: ModuleType) -> ModuleType:
    _give_way(stand_in)
    return import_module(stand_in.__name__)


def _give_way(stand_in: ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
