"""What data types have in common."""

from . import wb_value as wb_value
