"""`lineal.errors` where W&B has it."""

from lineal.errors import *  # noqa: F403 - all of it
