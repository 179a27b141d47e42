"""What a config raises for a value that was given before."""

from lineal.errors import Invalid as ConfigError

__all__ = ["ConfigError"]
