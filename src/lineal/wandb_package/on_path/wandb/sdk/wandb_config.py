"""The config of a run."""

from lineal.client.run.config import RunConfig as Config

__all__ = ["Config"]
