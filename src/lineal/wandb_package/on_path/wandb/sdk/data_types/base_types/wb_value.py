"""The base of data types."""

from lineal.client.media.types import DataObject as WBValue

__all__ = ["WBValue"]
