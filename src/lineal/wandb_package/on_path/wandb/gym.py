"""`wandb.integration.gym` under its short name."""

from .integration.gym import *  # noqa: F403 - all of it
