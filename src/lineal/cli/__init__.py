"""The command line: it translates words into calls of the SDK and decides nothing."""

from __future__ import annotations

from lineal.cli.app import main

__all__ = ["main"]
