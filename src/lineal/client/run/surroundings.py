"""What is captured around a run (RUN-30, RUN-31): at its start, in the background.

Of a notebook more is known at the end: the cells that ran (COD-2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from lineal.client import term
from lineal.client.capture import code, git, machine, notebook, requirements
from lineal.client.default_project import folder_of
from lineal.client.values import plain, text
from lineal.config import Settings, working_folder
from lineal.core.records import RunPatch

METADATA_FILE = "wandb-metadata.json"
REQUIREMENTS_FILE = "requirements.txt"
HISTORY_FILE = "code/_session_history.ipynb"


class Call(NamedTuple):
    """How the program was started, noted before it can change folder or arguments."""

    started_at: datetime
    folder: str
    program: str | None
    details: Mapping[str, Any]

    @property
    def stored_program(self) -> str | None:
        """The name of the program as databases take it, which need not be that of its file."""
        return None if self.program is None else text(self.program)


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
    return Call(started_at, working_folder(), machine.program(settings.program), details)


def collect(settings: Settings, call: Call) -> Surroundings:
    """Look at machine, packages, work tree and script, as far as the settings allow."""
    details = dict(call.details)
    if not settings.disable_machine_info:
        details.update(machine.describe(settings.host))
    contents: dict[str, bytes] = {}
    if not settings.disable_requirements:
        contents[REQUIREMENTS_FILE] = "".join(f"{p}\n" for p in requirements.installed()).encode()
    state = None if settings.disable_git else _git(settings, call)
    if state is not None:
        details["git"] = {"commit": state.commit, "remote": state.remote, "branch": state.branch}
        if state.note:
            details["git"]["note"] = state.note
            term.warning(f"git: {state.note}")
        if state.diff and not settings.disable_code:
            if code.diff_holds_secret(state.diff):
                term.warning(
                    "the uncommitted changes look as if they held a key or password; "
                    f"{git.DIFF_FILE} was not saved"
                )
            else:
                contents[git.DIFF_FILE] = state.diff
    if details:
        details["startedAt"] = call.started_at.isoformat()
        details = plain(details, "metadata")  # names of files and arguments may be no UTF-8
        contents[METADATA_FILE] = json.dumps(details, indent=2).encode()
    script = _script(settings, call)
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


def of_notebook(settings: Settings) -> tuple[dict[str, bytes], tuple[tuple[str, str], ...]]:
    """Return what a run in a notebook saves at its end: the cells that ran, the file as it is now.

    As `contents` and `copies` of `Surroundings`; both empty elsewhere, or if no code is saved.
    """
    history = notebook.session_history() if _saves_code(settings) else None
    if history is None:
        return {}, ()
    contents = {HISTORY_FILE: history}
    if code.holds_secret(history):
        term.warning("a cell looks as if it held a key or password; the session was not saved")
        contents = {}
    script = _without_secrets(code.main_script(None))
    return contents, () if script is None else (script,)


def _git(settings: Settings, call: Call) -> git.GitState | None:
    """Look at the work tree of the working folder; outside of any, at that of the script.

    Where the settings say a commit or a remote, as in a container without either, no tree counts:
    its changes would be against another commit.
    """
    if settings.git_commit or settings.git_remote_url:
        remote = git.without_credentials(settings.git_remote_url)
        return git.GitState(settings.git_commit, None, remote, None)
    root = git.find_root(settings.git_root or call.folder)
    if root is None and settings.git_root is None:
        script_folder = folder_of(call.program, call.folder)
        root = git.find_root(script_folder) if script_folder is not None else None
    return git.state(root) if root is not None else None


def _script(settings: Settings, call: Call) -> tuple[str, str] | None:
    """Return the main script when it is to be saved (COD-1) and holds no secrets (COD-6)."""
    return _without_secrets(code.main_script(call.program)) if _saves_code(settings) else None


def _saves_code(settings: Settings) -> bool:
    return settings.save_code and not settings.disable_code


def _without_secrets(script: tuple[str, str] | None) -> tuple[str, str] | None:
    if script is not None and code.looks_secret(script[1]):
        term.warning(f"{script[1]} looks as if it held a key or password; it was not saved")
        return None
    return script
