"""The config of a run."""

from lineal.client.run.config import Config as Config
