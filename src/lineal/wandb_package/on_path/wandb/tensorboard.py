"""`wandb.integration.tensorboard` under its short name."""

from .integration.tensorboard import *  # noqa: F403 - all of it
