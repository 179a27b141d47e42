"""Everything captured once at the start of a run, collected in the background (RUN-30, RUN-31)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from lineal.client import term
from lineal.client.capture import code, git, machine, requirements
from lineal.config import Settings
from lineal.core.records import RunPatch

METADATA_FILE = "wandb-metadata.json"
REQUIREMENTS_FILE = "requirements.txt"
DIFF_FILE = "diff.patch"


class Call(NamedTuple):
    """How the program was started, noted before it can change folder or arguments."""

    started_at: datetime
    folder: str
    program: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Surroundings:
    patch: RunPatch
    contents: Mapping[str, bytes] = field(default_factory=dict)
    """Run files made here: path → content."""
    copies: tuple[tuple[str, str], ...] = ()
    """Run files copied: (path, local path)."""
    code_path: str | None = None
    """The run file that holds the main script."""


def call(settings: Settings, started_at: datetime) -> Call:
    details = {} if settings.disable_meta else machine.call(settings.program)
    return Call(started_at, os.getcwd(), machine.program(settings.program), details)


def collect(settings: Settings, call: Call) -> Surroundings:
    """Look at machine, packages, work tree and script, as far as the settings allow."""
    details = dict(call.details)
    if not settings.disable_machine_info:
        details.update(machine.describe())
    contents: dict[str, bytes] = {}
    if not settings.disable_requirements:
        contents[REQUIREMENTS_FILE] = "".join(f"{p}\n" for p in requirements.installed()).encode()
    state = None if settings.disable_git else _git(settings, call.folder)
    if state is not None:
        details["git"] = {"commit": state.commit, "remote": state.remote, "branch": state.branch}
        if state.note:
            details["git"]["note"] = state.note
            term.warning(f"git: {state.note}")
        if state.diff and not settings.disable_code:
            contents[DIFF_FILE] = state.diff
    if details:
        details["startedAt"] = call.started_at.isoformat()
        contents[METADATA_FILE] = json.dumps(details, indent=2).encode()
    script = _script(settings, call)
    if script is not None:
        history = code.session_history()
        if history is not None:
            contents["code/_session_history.ipynb"] = history
    return Surroundings(
        patch=RunPatch(
            metadata=details or None,
            git_commit=state.commit if state else None,
            git_remote=state.remote if state else None,
        ),
        contents=contents,
        copies=(script,) if script else (),
        code_path=script[0] if script else None,
    )


def _git(settings: Settings, folder: str) -> git.GitState | None:
    root = git.find_root(settings.git_root or folder)
    return git.state(root) if root is not None else None


def _script(settings: Settings, call: Call) -> tuple[str, str] | None:
    """Return the main script when it is to be saved (COD-1) and holds no secrets (COD-6)."""
    if not settings.save_code or settings.disable_code:
        return None
    script = code.main_script(call.program)
    if script is not None and code.looks_secret(script[1]):
        term.warning(f"{script[1]} looks as if it held a key or password; it was not saved")
        return None
    return script
