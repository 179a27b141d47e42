"""Sweeps."""

from lineal.client.public.lists import LazyList as Sweeps
from lineal.client.public.sweep import Sweep as Sweep

__all__ = ["Sweep", "Sweeps"]
