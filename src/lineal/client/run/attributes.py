"""What can be assigned to a run: values for its config and summary, and what it has already."""

from __future__ import annotations

from typing import Any

from lineal.client.run.config import RunConfig
from lineal.client.run.summary import Summary


class Attributes:
    """The part of a run that decides what `run.name = value` does."""

    _config: RunConfig
    _summary: Summary

    @property
    def config(self) -> RunConfig:
        """The run's configuration; what is assigned is taken into it, as by `lineal.config = …`."""
        return self._config

    @config.setter
    def config(self, values: Any) -> None:
        self._config.update(values, allow_val_change=True)

    @property
    def summary(self) -> Summary:
        """The run's results; what is assigned is taken into them."""
        return self._summary

    @summary.setter
    def summary(self, values: Any) -> None:
        self._summary.update(values)
