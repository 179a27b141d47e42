"""Where Lineal's `wandb` is, module and command, and how a process comes to find that one."""

from __future__ import annotations

import os
import sys

from lineal.errors import UsageError

_HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(_HERE, "on_path")
"""What is put first on the path of modules: the package and what says which version it is."""
COMMANDS = os.path.join(_HERE, "commands")
"""What is put first on the path of commands: `wandb`, for scripts that start it."""


def as_wandb() -> None:
    """Let `import wandb` mean Lineal, in this process and in those it starts from now on.

    In the latter, so does the command `wandb`.

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
    tell_children()


def tell_children() -> None:
    """Let `wandb` mean Lineal in the programs that this process starts, module and command."""
    os.environ["PYTHONPATH"] = first_on(os.environ.get("PYTHONPATH", ""), FOLDER)
    os.environ["PATH"] = first_on(os.environ.get("PATH", os.defpath), COMMANDS)
    os.environ["_LINEAL_PYTHON"] = sys.executable


def first_on(path: str, folder: str) -> str:
    """Return a path of folders, such as a PYTHONPATH, with this folder in front."""
    others = [each for each in path.split(os.pathsep) if each != folder]
    return os.pathsep.join([folder, *others] if path else [folder])


def _is_ours(module: object) -> bool:
    return getattr(module, "__file__", None) == os.path.join(FOLDER, "wandb", "__init__.py")
