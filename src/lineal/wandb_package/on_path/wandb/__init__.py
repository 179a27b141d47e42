"""Lineal under the name of W&B's package.

Each name is Lineal's and is looked up when it is used, so that `wandb.run`, `wandb.config` and
`wandb.summary` are the active run's. The modules are those that libraries import.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

try:
    import lineal
except ModuleNotFoundError as error:
    if error.name != "lineal":
        raise
    raise ModuleNotFoundError(
        f"`wandb` is to be Lineal, which this Python does not have: {sys.executable} -m pip "
        "install lineal",
        name="lineal",
    ) from error

__version__ = "0.31.0"
"""The version of W&B's package whose interface this is; as the folder beside this one says."""

_MODULES = (
    *("api", "apis", "cli", "data_types", "env", "errors", "helper", "integration", "plot"),
    *("sdk", "util", "viz", "wandb_run"),
)


def _attach(attach_id: str) -> lineal.Run:
    """Go on with the run of another process, as Lightning does where it spawns them."""
    return lineal.attach(attach_id)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    return getattr(lineal, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *lineal.__all__, *_MODULES})


sys.modules[__name__].__class__ = type(lineal)  # so that `wandb.config = {…}` reaches the run
