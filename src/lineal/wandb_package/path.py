"""Where the package `wandb` of Lineal is, and how a process comes to import that one."""

from __future__ import annotations

import os
import sys

from lineal.errors import UsageError

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "on_path")
"""What is put first on the path of modules: the package and what says which version it is."""


def as_wandb() -> None:
    """Let `import wandb` mean Lineal, in this process and in those it starts from now on.

    To be called before anything imports `wandb`, or looks for it: some libraries, such as
    transformers, do so as soon as they are imported. Whether W&B's package is installed makes no
    difference. A second call does nothing. Raises UsageError where another `wandb` was imported.
    """
    found = sys.modules.get("wandb")
    if found is not None and not _is_ours(found):
        raise UsageError(
            f"`wandb` was imported already, from {getattr(found, '__file__', None)}; call "
            "`lineal.as_wandb()` before, or start the program by `lineal as-wandb`"
        )
    if sys.path[:1] != [FOLDER]:
        sys.path.insert(0, FOLDER)
    os.environ["PYTHONPATH"] = first_on(os.environ.get("PYTHONPATH", ""))


def first_on(python_path: str) -> str:
    """Return a PYTHONPATH with the folder in front."""
    others = [folder for folder in python_path.split(os.pathsep) if folder != FOLDER]
    return os.pathsep.join([FOLDER, *others] if python_path else [FOLDER])


def _is_ours(module: object) -> bool:
    return getattr(module, "__file__", None) == os.path.join(FOLDER, "wandb", "__init__.py")
