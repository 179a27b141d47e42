"""`wandb.integration.sklearn` under its short name."""

from .integration.sklearn import *  # noqa: F403 - all of it
