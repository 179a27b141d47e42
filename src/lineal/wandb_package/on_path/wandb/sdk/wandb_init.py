"""Beginning a run."""

from lineal import init as init
