"""`wandb.integration.xgboost` under its short name."""

from .integration.xgboost import *  # noqa: F403 - all of it
