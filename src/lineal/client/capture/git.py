"""Commit, remote and uncommitted changes of the work tree a run started in (COD-5)."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Sequence
from typing import NamedTuple

GIT_TIMEOUT_SECONDS = 15.0
"""For one command; a work tree on a slow network disk must not hold up the run."""
DIFF_MAX_BYTES = 10 * 1024 * 1024
_USER_INFO = re.compile(r"^([^/]*://)[^/]*@")
"""After any scheme, with what a remote helper puts in front; a password may have an @ in it."""


class GitState(NamedTuple):
    root: str
    commit: str | None
    branch: str | None
    remote: str | None
    """Without user name and password."""
    diff: bytes | None
    """Tracked files against the commit; None when there is no difference, or it was left out."""
    note: str | None = None
    """Why the difference was left out."""


def find_root(start: str) -> str | None:
    """Return the top of the work tree that holds the folder; runs no command."""
    folder = os.path.abspath(start)
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def state(root: str) -> GitState | None:
    """Ask git; None where it is not installed or knows nothing. Untracked files are left out."""
    commit = _output(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff, note = _diff(root)
    return GitState(
        root=root,
        commit=commit,
        branch=_output(root, "symbolic-ref", "--short", "-q", "HEAD"),
        remote=without_credentials(_output(root, "config", "--get", "remote.origin.url")),
        diff=diff or None,
        note=note,
    )


def without_credentials(url: str | None) -> str | None:
    """Remove user and password from a URL: they would be copied to everyone who sees the run."""
    return None if url is None else _USER_INFO.sub(r"\1", url)


def _output(root: str, *arguments: str) -> str | None:
    found, is_whole = _run(root, arguments, limit=64 * 1024)
    return found.decode(errors="replace").strip() or None if found and is_whole else None


def _diff(root: str) -> tuple[bytes | None, str | None]:
    arguments = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--binary")
    found, is_whole = _run(root, arguments, limit=DIFF_MAX_BYTES)
    if is_whole:
        return found, None
    if found is not None and len(found) > DIFF_MAX_BYTES:
        return None, f"uncommitted changes exceed {DIFF_MAX_BYTES // 2**20} MiB and were left out"
    return None, "git took too long or failed; uncommitted changes were left out"


def _run(root: str, arguments: Sequence[str], *, limit: int) -> tuple[bytes | None, bool]:
    """Return (output up to a byte over the limit, whether it is whole and git succeeded)."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        process = subprocess.Popen(
            ["git", "-C", root, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError:
        return None, False
    timer = threading.Timer(GIT_TIMEOUT_SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout as pipe:
            found = pipe.read(limit + 1)
        if len(found) > limit:
            process.kill()
        return found, process.wait() == 0 and len(found) <= limit
    finally:
        timer.cancel()
