"""Files of runs."""

from lineal.client.public.files import File as File
from lineal.client.public.lists import LazyList as Files

__all__ = ["File", "Files"]
