"""The summary of a run: one value per key, the last logged one unless told otherwise (RUN-26)."""

from __future__ import annotations

import copy
import threading
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    ValuesView,
)
from typing import Any, TypeGuard

from lineal.client.values import PLAIN, MediaWriter, flat, plain, text

EMPTY: Mapping[str, Any] = {}
"""A dict that holds nothing is a value in itself, until something is set in it."""


class Summary:
    """Works like a dict; nested keys are joined with dots and reachable both ways.

    `summary["loss.min"]` and `summary["loss"]["min"]` are the same value, to read and to set. What
    changes is sent to the backend from time to time, and when the run finishes.
    """

    _values: dict[str, Any]
    _below: dict[str, dict[str, None]]
    """The names that lie below each key, in the order in which they came."""
    _changed: set[str]
    _removed: set[str]

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        check: Callable[[], None] | None = None,
        media: MediaWriter | None = None,
        noted: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """check: called before every change; raises when the run takes none any more.

        media: stores tables and images; without it they are refused. noted: given what the user
        sets or removes, so that it survives the process, as `{"summary": {key: value}}` or
        `{"summary_removed": [key]}`.
        """
        object.__setattr__(self, "_values", flat(values or {}))
        object.__setattr__(self, "_below", {})
        object.__setattr__(self, "_changed", set())
        object.__setattr__(self, "_removed", set())
        object.__setattr__(self, "_check", check or (lambda: None))
        object.__setattr__(self, "_media", media)
        object.__setattr__(self, "_noted", noted or (lambda _: None))
        object.__setattr__(self, "_lock", threading.RLock())
        self._index(self._values)

    # --- reading ---

    def __getitem__(self, key: str) -> Any:
        if self._values.get(key, EMPTY) != EMPTY:
            return self._values[key]
        nested = self._under(key)
        if nested or key in self._values:
            return nested
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in self._values or bool(self._below.get(key)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._as_dict())

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> KeysView[str]:
        return self._as_dict().keys()

    def values(self) -> ValuesView[Any]:
        return self._as_dict().values()

    def items(self) -> ItemsView[str, Any]:
        return self._as_dict().items()

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"The summary has no key {key!r}") from None

    def __repr__(self) -> str:
        return repr(self._as_dict())

    def __reduce__(self) -> tuple[type[Summary], tuple[dict[str, Any]]]:
        return Summary, (copy.deepcopy(self._values),)  # a copy is the reader's own

    def _as_dict(self) -> dict[str, Any]:
        return dict(self._values)

    def _under(self, key: str) -> Nested:
        found = Nested(self, key)
        for name in list(self._below.get(key, ())):
            value = self._values.get(name, self)
            if value is not self:  # another thread may remove it
                found._show(name[len(key) + 1 :].split("."), value)
        return found

    # --- changing ---

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def update(self, values: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Set keys; raises TypeError for values that are neither JSON nor media.

        What was below a key goes: `summary["best"] = {"epoch": 5}` leaves that alone there.
        """
        self._check()
        if values is not None and not isinstance(values, Mapping):
            raise TypeError(f"summary.update takes a dict, not {values!r}")
        given = {**(values or {}), **more}
        for key in given:
            if not isinstance(key, str):
                raise TypeError(f"Keys of the summary must be strings, not {key!r}")
        found = {text(key): plain(value, key, self._media) for key, value in given.items()}
        changed = flat(found)
        with self._lock:
            gone = [name for name in self._replaced(found, changed) if name not in changed]
            self._remove(gone)
            self._record(changed)
        self._noted({"summary_removed": gone, "summary": changed} if gone else {"summary": changed})

    def _replaced(self, given: Iterable[str], changed: Iterable[str]) -> set[str]:
        """Return the names at and below the given keys, and the empty dicts above changed names."""
        above = {part for name in changed for part in _above(name)}
        found = {part for part in above if self._values.get(part) == EMPTY}
        for key in given:
            found.update(self._at_and_below(key))
        return found

    def _at_and_below(self, key: str) -> list[str]:
        own = [key] if key in self._values else []
        return own + list(self._below.get(key, ()))

    def __delitem__(self, key: str) -> None:
        """Remove a key and all below it."""
        self._check()
        with self._lock:
            names = self._at_and_below(key)
            self._remove(names)
        if not names:
            raise KeyError(key)
        self._noted({"summary_removed": names})

    def __delattr__(self, key: str) -> None:
        del self[key]

    # --- for the run ---

    def _after_fork(self) -> None:
        object.__setattr__(self, "_lock", threading.RLock())

    def _record(self, values: Mapping[str, Any]) -> None:
        """Set flat JSON values without a look at them; called for every logged row."""
        with self._lock:
            are_known = values.keys() <= self._values.keys()
            self._values.update(values)
            if not are_known:
                self._index(values)
            self._changed.update(values)
            if self._removed:
                self._removed.difference_update(values)

    def _remove(self, names: Iterable[str]) -> None:
        """Remove flat keys, as far as they are there."""
        with self._lock:
            for name in names:
                if self._values.pop(name, self) is not self:
                    self._removed.add(name)
                    for key in _above(name):
                        self._below[key].pop(name, None)

    def _index(self, names: Iterable[str]) -> None:
        for name in names:
            if "." in name:  # few names lie below a key
                for key in _above(name):
                    self._below.setdefault(key, {})[name] = None

    def _take_changes(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return (changed, removed) since the last time, and start anew.

        The names are let go before the values are read: a signal's handler that comes in between
        is in the values, or its names wait for the next time.
        """
        with self._lock:
            names, removed = set(self._changed), set(self._removed)
            self._changed.difference_update(names)
            self._removed.difference_update(removed)
            changed = {key: value for key, value in self._as_dict().items() if key in names}
        return changed, tuple(sorted(removed))

    def _put_back(self, changed: Mapping[str, Any], removed: tuple[str, ...]) -> None:
        """Count changes as unsent again: sending them failed."""
        with self._lock:
            self._changed.update(key for key in changed if key in self._values)
            self._removed.update(key for key in removed if key not in self._values)


def _above(name: str) -> Iterator[str]:
    """Yield the keys that a flat name lies below: of `a.b.c` these are `a` and `a.b`."""
    end = name.find(".")
    while end >= 0:
        yield name[:end]
        end = name.find(".", end + 1)


class Nested(dict[str, Any]):
    """What lies below a key of a summary; what is set or deleted here is so in the summary."""

    _summary: Summary
    _key: str

    def __init__(self, summary: Summary, key: str) -> None:
        super().__init__()
        object.__setattr__(self, "_summary", summary)
        object.__setattr__(self, "_key", key)

    def __getattr__(self, key: str) -> Any:
        if key not in self:
            raise AttributeError(f"The summary has no key {key!r}")
        return self[key]

    def __setitem__(self, key: str, value: Any) -> None:
        name = f"{self._key}.{key}"
        self._summary[name] = value
        super().__setitem__(key, self._summary[name])

    def __delitem__(self, key: str) -> None:
        del self._summary[f"{self._key}.{key}"]
        super().__delitem__(key)

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __delattr__(self, key: str) -> None:
        del self[key]

    def update(self, *values: Any, **more: Any) -> None:
        for key, value in dict(*values, **more).items():
            self[key] = value

    def __ior__(self, values: Any) -> Nested:  # type: ignore[override,misc]  # takes less
        self.update(values)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        value = super().get(key, *default) if default else self[key]
        if key in self:
            del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        key, value = super().popitem()
        super().__setitem__(key, value)
        return key, self.pop(key)

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)  # a copy is the reader's own

    def _show(self, path: list[str], value: Any) -> None:
        """Put in a value that the summary has."""
        *folders, last = path
        place = self
        for folder in folders:
            inner = place.get(folder)
            if not isinstance(inner, Nested):
                inner = Nested(self._summary, f"{place._key}.{folder}")
                dict.__setitem__(place, folder, inner)
            place = inner
        if value == EMPTY:
            value = Nested(self._summary, f"{place._key}.{last}")
        dict.__setitem__(place, last, value)


def is_number(value: object) -> TypeGuard[float]:
    return type(value) in PLAIN and isinstance(value, (int, float)) and not isinstance(value, bool)
