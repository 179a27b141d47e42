"""`wandb.integration.keras` under its short name."""

from .integration.keras import *  # noqa: F403 - all of it
