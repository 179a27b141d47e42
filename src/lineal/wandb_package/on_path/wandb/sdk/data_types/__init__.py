"""Data types that libraries tell by their class."""

from . import base_types as base_types
from . import image as image
from . import video as video
