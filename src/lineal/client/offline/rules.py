"""Who answers a method of the seam while offline: the folder of the run, or the normal home.

docs/design/009-sdk.md
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import methodcaller
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lineal.client.offline.normal_home import Record, is_at_home, plain
from lineal.errors import Gone, MissingFile, NotFound

if TYPE_CHECKING:
    from lineal.client.offline.backend import OfflineBackend

F = TypeVar("F", bound=Callable[..., Any])


def by_id(method: F) -> F:
    """Let whoever has what the first argument names answer: the folder, or the home."""

    @functools.wraps(method)
    def answer(self: OfflineBackend, id: int | str, *args: Any, **kwargs: Any) -> Any:
        if is_at_home(id):
            return self.home.ask(methodcaller(method.__name__, plain(id), *args, **kwargs))
        return method(self, id, *args, **kwargs)

    return cast(F, answer)


def by_name(method: F) -> F:
    """Ask the folder, and for what it does not have the home."""

    @functools.wraps(method)
    def answer(self: OfflineBackend, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (NotFound, MissingFile) as error:
            if not self.home.is_there:
                raise
            return self.ask_instead(error, methodcaller(method.__name__, *args, **kwargs))

    return cast(F, answer)


def change(kind: type[Record], method: F) -> F:
    """Change what the first argument names in the folder, and refuse to at home."""

    @functools.wraps(method)
    def changed(self: OfflineBackend, id: int, *args: Any, **kwargs: Any) -> Any:
        self.require_own(kind, id)
        return method(self, id, *args, **kwargs)

    return cast(F, changed)


def change_by_name(look: Callable[..., Any], method: F) -> F:
    """Change what names say in the folder, and refuse to what only the home has.

    look: asks a backend for it, with the arguments of the method.
    """

    @functools.wraps(method)
    def changed(self: OfflineBackend, *args: Any) -> Any:
        try:
            return method(self, *args)
        except NotFound as error:
            if isinstance(error, Gone) or not self.home.is_there:
                raise
            try:
                found = self.home.ask(lambda home: look(home, *args))
            except NotFound:
                raise error from None
            raise self.home.unchangeable(found) from None

    return cast(F, changed)
