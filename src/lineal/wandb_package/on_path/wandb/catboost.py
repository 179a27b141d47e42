"""`wandb.integration.catboost` under its short name."""

from .integration.catboost import *  # noqa: F403 - all of it
