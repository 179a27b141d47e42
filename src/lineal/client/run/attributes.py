"""The attributes of a run: which there are, and what is assigned to its config and summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineal.client.run.config import RunConfig
from lineal.client.run.summary import Summary
from lineal.config import Settings
from lineal.nearest import did_you_mean


class Attributes:
    """The part of a run that decides what `run.name` and `run.name = value` do (SEED-10)."""

    settings: Settings
    _config: RunConfig
    _summary: Summary
    _is_made = False
    """Whether it has all the attributes that a run has."""

    if not TYPE_CHECKING:  # type checkers see by themselves which names there are

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            if isinstance(getattr(type(self), name, None), property):
                return object.__getattribute__(self, name)  # it says why it raised AttributeError
            raise AttributeError(f"A run has no attribute `{name}`{self._near(name)}")

        def __setattr__(self, name: str, value: Any) -> None:
            """Raise AttributeError for names that no run has: what was meant would be lost."""
            is_known = name.startswith("_") or name in vars(self) or hasattr(type(self), name)
            if self._is_made and not is_known:
                own = "; values of your own belong into `run.config` or `run.summary`"
                raise AttributeError(
                    f"A run has no attribute `{name}`{self._near(name, otherwise=own)}"
                )
            super().__setattr__(name, value)

    def _near(self, name: str, *, otherwise: str = "") -> str:
        known = [each for each in dir(self) if not each.startswith("_")]
        return did_you_mean(name, known, otherwise=otherwise)

    @property
    def mode(self) -> str:
        """`online`, `offline`, `shared` or `disabled`, as older scripts ask for it."""
        return self.settings.mode

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
