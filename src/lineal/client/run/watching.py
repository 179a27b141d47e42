"""Watching models: histograms of gradients and parameters, as the training goes (RUN-29).

torch is not imported here: a model is what has named parameters, and its own hooks call us.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from math import inf
from typing import Any, SupportsFloat

from lineal.client import term
from lineal.client.media.histogram import Histogram
from lineal.errors import Invalid

Log = Callable[[Mapping[str, Any]], None]
"""Adds values to the row of the history that is being filled."""

KINDS = ("gradients", "parameters", "all")


class Watching:
    """The models that one run watches."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._watched: list[tuple[Any, list[_Hook]]] = []

    def add(self, models: Iterable[Any], kind: str | None, every: float, first: int | None) -> None:
        """Keep histograms of the models' gradients, parameters or both, or of nothing for None.

        every: of how many passes the last one is kept, backward for gradients and forward for
        parameters. first: number of the first model; the keys of those above 0 say it. Raises
        Invalid (a ValueError) for other kinds, no positive number of passes, and a model that is
        watched already; then none of them is.
        """
        if kind is not None and kind not in KINDS:
            raise Invalid(f"log is {', '.join(KINDS)} or None, not {kind!r}")
        if isinstance(every, bool) or not isinstance(every, SupportsFloat) or not 1 <= every < inf:
            raise Invalid(f"log_freq is a number of passes, at least 1, not {every!r}")
        passes = int(every)  # of `len(batches) / 10`, too
        models = list(models)
        for model in models:
            if any(model is known for known, _ in self._watched):
                raise Invalid(f"{type(model).__name__} is watched already; `unwatch` it first")
        start = len(self._watched) if first is None else first
        for number, model in enumerate(models, start):
            self._watched.append((model, self._hooked(model, kind, passes, number)))

    def remove(self, models: Iterable[Any] | None = None) -> None:
        """Leave these models alone, or all for None."""
        chosen = None if models is None else list(models)
        kept = []
        for model, hooks in self._watched:
            if chosen is None or any(model is one for one in chosen):
                for hook in hooks:
                    hook.remove()
            else:
                kept.append((model, hooks))
        self._watched = kept

    def parameter_counts(self) -> dict[str, int]:
        """Return how many numbers the watched models have to learn, by the class of the model."""
        counts: dict[str, int] = {}
        for model, _ in self._watched:
            name = type(model).__name__
            counts[name] = counts.get(name, 0) + sum(int(p.numel()) for p in model.parameters())
        return counts

    def _hooked(self, model: Any, kind: str | None, every: int, number: int) -> list[_Hook]:
        prefix = f"graph_{number}" if number else ""
        hooks = []
        if kind in ("gradients", "all"):
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    keep = partial(self._keep, f"gradients/{prefix}{name}")
                    hooks.append(_Hook(parameter.register_hook, every, keep))
        if kind in ("parameters", "all"):
            keep = partial(self._keep_parameters, model, f"parameters/{prefix}")
            hooks.append(_Hook(model.register_forward_hook, every, keep))
        return hooks

    def _keep_parameters(self, model: Any, prefix: str, *_: Any) -> None:
        for name, parameter in model.named_parameters():
            self._keep(prefix + name, parameter)

    def _keep(self, key: str, tensor: Any) -> None:
        values = tensor.detach()
        if values.is_sparse:  # of the rows that have a gradient
            values = values.coalesce().values()
        try:
            histogram = Histogram(values)
        except Invalid as error:  # no finite number in it: the training goes on, so do we
            term.warn_once(f"no histogram of {key}: {error.message}", key="watch")
            return
        self._log({key: histogram})


class _Hook:
    """What a model calls in each pass; a copy of the model has one that does nothing."""

    def __init__(
        self, register: Callable[[Any], Any], every: int, keep: Callable[..., None]
    ) -> None:
        self._every = every
        self._keep = keep
        self._count = 0
        self._lock = threading.Lock()  # several devices may run backward at once
        self._handle = register(self)

    def __call__(self, *passed: Any) -> None:
        with self._lock:
            self._count = (self._count + 1) % self._every
            is_due = self._count == 0
        if is_due:
            self._keep(*passed)

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        """The run is not saved or sent along with a model."""
        return _forgotten, ()

    def remove(self) -> None:
        self._handle.remove()


def _forgotten() -> Callable[..., None]:
    return _nothing


def _nothing(*_: Any) -> None:
    """Take the place of a hook in a copy of a model."""
