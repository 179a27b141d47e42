"""What the objects of the API have as attributes: who reads or assigns another is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from lineal.nearest import did_you_mean

_OURS = f"{__name__.partition('.')[0]}."


class KnownAttributes:
    """An object whose attributes are saved: assigning an unknown one is a mistake (SEED-10).

    A class that somebody derives from one of ours may keep what it likes.
    """

    _plain_attributes: ClassVar[frozenset[str]] = frozenset()
    """Those that are neither properties nor methods."""

    if not TYPE_CHECKING:  # type checkers see by themselves which names there are

        def __getattr__(self, name: str) -> Any:
            found = getattr(type(self), name, None)
            if isinstance(found, property):
                return found.__get__(self)  # it raised AttributeError; asked again, it says why
            raise self._unknown(name)

        def __setattr__(self, name: str, value: Any) -> None:
            """Raise AttributeError for unknown names: what was meant would silently be lost."""
            is_plain = name.startswith("_") or name in self._plain_attributes
            is_known = is_plain or hasattr(type(self), name)
            if not is_known and type(self).__module__.startswith(_OURS):
                raise self._unknown(name)
            super().__setattr__(name, value)

    def _unknown(self, name: str) -> AttributeError:
        known = {*self._plain_attributes, *dir(type(self))}
        return AttributeError(f"{type(self).__name__} has no attribute `{name}`{hint(name, known)}")


def hint(name: str, known: set[str]) -> str:
    """Return what follows "there is no such attribute", perhaps nothing."""
    public = sorted(each for each in known if not each.startswith("_"))
    # `ttl_duration` is nearer to `ttl` than its letters say (SEED-10)
    longest = max((each for each in public if name.startswith(f"{each}_")), key=len, default="")
    otherwise = f"; did you mean `{longest}`?" if longest else ""
    return otherwise if name.startswith("_") else did_you_mean(name, public, otherwise=otherwise)
