"""Sweeps, their trials, and which parameters matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineal.startup.on_demand import modules_of

if TYPE_CHECKING:
    from lineal.service.sweep import importance as importance
    from lineal.service.sweep import sweeps as sweeps
    from lineal.service.sweep import trials as trials
else:
    __getattr__ = modules_of(__name__)
