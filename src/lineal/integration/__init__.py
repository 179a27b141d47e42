"""Callbacks for training libraries that have none for W&B themselves, one module for each library.

A module imports its library, so it is loaded by those who name it. All of them are what a user
could write: they call the run's public methods.
"""

from lineal.startup.on_demand import modules_of

__getattr__ = modules_of(__name__)
