"""Installed packages, as `pip freeze` would name them."""

from __future__ import annotations

import os
import sys

from lineal.wandb_package.path import FOLDER

_SUFFIXES = (".dist-info", ".egg-info")


def installed() -> list[str]:
    """Return `name==version` of every package on `sys.path`, sorted; first on the path wins.

    Reads only the names of folders: parsing metadata would take a hundred times as long.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        if folder == FOLDER:  # nobody installed that one
            continue
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix in _SUFFIXES:
                package, _, version = stem.partition("-")
                if version:
                    # an egg's folder goes on with the Python version: `x-1.0-py3.11`
                    found.setdefault(package.replace("_", "-"), version.partition("-")[0])
    return [f"{package}=={found[package]}" for package in sorted(found, key=str.lower)]
