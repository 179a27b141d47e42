"""Projects."""

from lineal.client.public.catalog import Project as Project
from lineal.client.public.lists import LazyList as Projects

__all__ = ["Project", "Projects"]
