"""The run."""

from lineal.client.run.run import Run as Run
