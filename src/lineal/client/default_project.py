"""Which project is meant where nobody names one: the same for `init`, `Api` and commands."""

from __future__ import annotations

import os
import site
import sys

from lineal.client.capture import git, machine
from lineal.config import Settings, working_folder
from lineal.core import names

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def default_project(settings: Settings) -> str:
    """Return the project of the settings, else the name of the Git work tree.

    The work tree is that of the script, or else of the working directory; outside of any it is
    `uncategorized` (RUN-5).
    """
    return settings.project or _inferred(machine.program(settings.program))


def _inferred(program: str | None) -> str:
    here = working_folder()
    root = git.find_root(folder_of(program, here) or here)
    return names.generated_project(os.path.basename(root)) if root else names.DEFAULT_PROJECT


def folder_of(program: str | None, here: str) -> str | None:
    """Return the folder of a script that was started here; None for an installed program."""
    if program is None:
        return None
    folder = os.path.dirname(os.path.abspath(os.path.join(here, program)))
    return folder if os.path.isdir(folder) and not _is_installed(folder) else None


def _is_installed(folder: str) -> bool:
    """Say whether its programs, such as pytest or `lineal`, tell nothing of whose work this is."""
    installed = [sys.prefix, _PACKAGE]
    if site.ENABLE_USER_SITE:
        installed.append(site.getuserbase())
    return any(folder == place or folder.startswith(place + os.sep) for place in installed)
