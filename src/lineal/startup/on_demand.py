"""Loading a module of ours when it is first wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType

from lineal.forks import around_forks


class _Loads:
    """The imports that are under way here.

    A fork amid one in another thread would leave the child waiting for it for ever. They wait for
    nothing but the fork itself: whoever imports holds locks of Python's that others may wait for.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.threads: list[int] = []
        """Who imports, once for each import within another."""

    def begin(self) -> None:
        with self.changed:
            self.threads.append(threading.get_ident())

    def end(self) -> None:
        with self.changed:
            self.threads.remove(threading.get_ident())
            self.changed.notify_all()

    def before_fork(self) -> None:
        own = threading.get_ident()
        self.changed.acquire()
        self.changed.wait_for(lambda: all(each == own for each in self.threads))

    def after_fork(self) -> None:
        self.changed.release()


_loads = _Loads()
around_forks(_loads.before_fork, _loads.after_fork)


def load_module(name: str) -> ModuleType:
    """Import a module by its full name."""
    # only what is wanted for the first time comes here
    from importlib import import_module

    from lineal.collector import uncollected

    _loads.begin()
    try:
        with uncollected():
            return import_module(name)
    finally:
        _loads.end()


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
