"""Dicts and lists of a config in the hands of the user: what is set in them is recorded."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Lent:
    """A value as it is stored, and the copy of it that the user reads and may change.

    The copy is a plain dict or list: JSON and YAML writers know no others.
    """

    stored: Any
    shown: Any
    _own: dict[int, Any] = field(default_factory=dict)
    """The dicts in `shown`, by identity, to tell them from those that take their place."""

    @classmethod
    def of(cls, stored: Any, shown: Any = None) -> Lent:
        shown = copy.deepcopy(stored) if shown is None else shown
        return cls(stored, shown, {id(part): part for part in _dicts(shown)})

    def now(self) -> Any:
        """Return what `shown` holds now, and the keys that were taken out of its dicts.

        A script that uses up its config, as by `config["model"].pop("type")`, ran with it.
        """
        return self._with_removed(self.stored, self.shown)

    def _with_removed(self, before: Any, now: Any) -> Any:
        if not isinstance(before, dict) or id(now) not in self._own:
            return now
        items = {key: self._with_removed(before.get(key), item) for key, item in list(now.items())}
        return {**before, **items}


def _dicts(value: Any) -> Iterator[dict[Any, Any]]:
    if isinstance(value, dict):
        yield value
        for item in list(value.values()):
            yield from _dicts(item)
