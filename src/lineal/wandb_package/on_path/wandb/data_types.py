"""`lineal.data_types` where W&B has it."""

from lineal.data_types import *  # noqa: F403 - all of it
