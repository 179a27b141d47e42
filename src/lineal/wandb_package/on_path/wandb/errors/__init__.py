"""`lineal.errors` where W&B has it."""

from lineal.errors import *  # noqa: F403 - all of it

from . import errors as errors
from . import term as term
