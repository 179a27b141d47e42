"""`wandb.integration.lightgbm` under its short name."""

from .integration.lightgbm import *  # noqa: F403 - all of it
