"""The command line."""

from . import cli as cli
