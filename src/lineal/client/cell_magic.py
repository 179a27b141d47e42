"""`%%wandb`, with which cells of notebooks begin that were written for W&B; and `%wandb PATH`."""

from __future__ import annotations

import sys
from typing import Any

from lineal.startup.on_demand import load_module


def register() -> None:
    """Let the shell of this process know the magic, unless it has one of that name."""
    shell = _shell()
    if shell is not None and shell.find_line_magic("wandb") is None:
        shell.register_magic_function(_wandb, "line_cell", "wandb")


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython()


def _wandb(line: str, cell: str | None = None) -> None:
    """Carry out the cell, if this begins one, and show the active run, or what is at a path.

    The height that may be said is not looked at: what is shown is as high as it has to be.
    """
    if cell is not None:
        _shell().run_cell(cell)
    path = _path_in(line)
    if path is not None:
        shown = load_module("lineal.client.public.api").Api().from_path(path)
    else:
        shown = load_module("lineal.client.active").active("run")
    if hasattr(shown, "display"):
        shown.display()
    elif shown is not None:
        sys.modules["IPython"].display.display(shown)


def _path_in(line: str) -> str | None:
    words = iter(line.split())
    for word in words:
        if word in ("-h", "--height"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None
