"""W&B's callbacks for other libraries, as far as Lineal has them; see docs/compatibility.md."""

from importlib import import_module
from typing import Any

_MODULES = ("catboost", "gym", "keras", "lightgbm", "sb3", "sklearn", "tensorboard", "xgboost")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
