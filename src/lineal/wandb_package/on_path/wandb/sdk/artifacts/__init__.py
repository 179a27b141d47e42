"""Artifacts."""

from . import artifact as artifact
from . import exceptions as exceptions
