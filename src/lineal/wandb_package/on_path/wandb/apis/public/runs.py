"""Runs."""

from lineal.client.public.lists import LazyList as Runs
from lineal.client.public.run import Run as Run

__all__ = ["Run", "Runs"]
