"""The variables of the environment that libraries set by a function."""

from __future__ import annotations

import os

ENTITY = "WANDB_ENTITY"
PROJECT = "WANDB_PROJECT"


def set_entity(value: str) -> None:
    """Say whose the runs from now on are."""
    os.environ[ENTITY] = value


def set_project(value: str) -> None:
    """Say which project the runs from now on belong to."""
    os.environ[PROJECT] = value or "uncategorized"
