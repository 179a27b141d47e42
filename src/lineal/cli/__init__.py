"""The command line: it translates words into calls of the SDK and decides nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED_EXIT_CODE = 130
"""What a shell reports for a process that Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None, *, name: str = "lineal") -> None:
    """Run one command and exit with the code of what happened; `name` is that of the program."""
    try:
        from lineal.cli import app  # takes 0.2 s, in which Ctrl-C is no reason for a traceback

        app.main(arguments, name=name)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT_CODE)
