"""The run under its old path."""

from lineal.client.run.run import Run as Run
