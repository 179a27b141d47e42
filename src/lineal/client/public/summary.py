"""The summary of a run as the public API shows it: a dict whose changes are sent on `update`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from lineal.client.run.summary import Summary

WANDBS_OWN = "_wandb"
"""The key under which W&B keeps what it notes itself."""
Save = Callable[[dict[str, Any], tuple[str, ...]], None]


class PublicSummary(Summary, MutableMapping[str, Any]):
    """Works like a dict; `update()` sends what changed, deletions too (API-11).

    It takes histograms, and arrays too long for a row as their histogram; other media need a run.
    `summary["_wandb"]["runtime"]`, which scripts for W&B ask for, is how many seconds the run
    took; it is no key of the summary.
    """

    def __init__(self, values: Mapping[str, Any], save: Save, runtime_seconds: float) -> None:
        """save: sends (changed, removed)."""
        super().__init__(values, media=_histogram)
        object.__setattr__(self, "_save", save)
        object.__setattr__(self, "_wandbs_own", {"runtime": int(runtime_seconds)})

    @property
    def _json_dict(self) -> dict[str, Any]:
        """A copy as plain values; W&B's own example of exporting runs reads it."""
        return {**self._as_dict(), WANDBS_OWN: self[WANDBS_OWN]}

    def __getitem__(self, key: str) -> Any:
        try:
            return super().__getitem__(key)
        except KeyError:
            if key != WANDBS_OWN:
                raise
            return dict(self._wandbs_own)

    def __delitem__(self, key: str) -> None:
        if key in self or key != WANDBS_OWN:
            super().__delitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value; with a number as default, None and NaN count as missing (SEED-5).

        So that `sorted(runs, key=lambda run: run.summary.get("val_acc", 0))` always sorts.
        """
        value = super().get(key, default)
        if isinstance(default, (int, float)) and (
            value is None or (isinstance(value, float) and math.isnan(value))
        ):
            return default
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        super().update({key: value})

    def update(  # type: ignore[override]  # a mapping or nothing, as of the summary of a live run
        self, values: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        """Set keys and send all changes since the last time."""
        super().update(values, **more)
        changed, removed = self._take_changes()
        if not changed and not removed:
            return
        try:
            self._save(changed, removed)
        except BaseException:
            self._put_back(changed, removed)
            raise


def _histogram(value: Any, key: str) -> dict[str, Any]:
    """Return a histogram as it is in a row; raises TypeError for media with files of their own."""
    from lineal.client.media.histogram import Histogram  # costs an import that few summaries need

    if isinstance(value, Histogram):
        return value.write()
    raise TypeError(
        f"`{key}` cannot hold a {type(value).__name__} here; open the run by init(id=…, "
        'resume="must") and log it'
    )
