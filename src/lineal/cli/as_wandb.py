"""`lineal as-wandb`: run a program whose libraries import `wandb`."""

from __future__ import annotations

import os
import shlex
import signal
from typing import Annotated

import typer

from lineal.cli import output
from lineal.errors import MissingFile, Unavailable
from lineal.wandb_package.path import tell_children


def as_wandb(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", help="With its options, such as `python train.py`"),
    ],
) -> None:
    """Run a command whose programs log to Lineal where they import `wandb`, or start it.

    Signals go to the command itself, and the exit code is its own.

    \b
    Examples:
      lineal as-wandb python train.py --epochs 3
      lineal as-wandb bash nightly.sh
    """
    output.flush()
    tell_children()
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python; the command would ignore them
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - there is no shell on purpose
    except FileNotFoundError as error:
        meant = "see how it is spelt, and whether it is installed"
        if command[0].endswith(".py") and os.path.isfile(command[0]):
            meant = f"a script is started by `lineal as-wandb python {shlex.quote(command[0])}`"
        raise MissingFile(f"There is no command `{command[0]}`: {meant}") from error
    except OSError as error:
        raise Unavailable(f"`{command[0]}` cannot be run: {error.strerror}") from error
