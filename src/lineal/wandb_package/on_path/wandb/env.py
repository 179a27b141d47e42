"""The variables of the environment that libraries set by a function."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

ENTITY = "WANDB_ENTITY"
PROJECT = "WANDB_PROJECT"


Environment = MutableMapping[str, str]


def get_entity(default: str | None = None, env: Environment | None = None) -> str | None:
    """Return whose the runs are, if the environment says so."""
    return _in(env).get(ENTITY, default)


def get_project(default: str | None = None, env: Environment | None = None) -> str | None:
    """Return which project the runs belong to, if the environment says so."""
    return _in(env).get(PROJECT, default)


def set_entity(value: str, env: Environment | None = None) -> None:
    """Say whose the runs from now on are."""
    _in(env)[ENTITY] = value


def set_project(value: str, env: Environment | None = None) -> None:
    """Say which project the runs from now on belong to."""
    _in(env)[PROJECT] = value or "uncategorized"


def _in(env: Environment | None) -> Environment:
    return os.environ if env is None else env
