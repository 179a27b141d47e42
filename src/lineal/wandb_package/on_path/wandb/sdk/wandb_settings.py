"""The settings of a run."""

from lineal.config import Settings as Settings
