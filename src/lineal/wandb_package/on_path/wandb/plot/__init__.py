"""`lineal.plot` where W&B has it."""

from lineal.client.plot import *  # noqa: F403 - all of it

from . import custom_chart as custom_chart
