"""Commit, remote and uncommitted changes of the work tree a run started in; and back (COD-5)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lineal.errors import Conflict, Exists, Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    import subprocess

GIT_TIMEOUT_SECONDS = 15.0
"""For one command; a work tree on a slow network disk must not hold up the run."""
DIFF_FILE = "diff.patch"
"""What the run keeps its uncommitted changes in."""
DIFF_MAX_BYTES = 10 * 1024 * 1024
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_USER_INFO = re.compile(r"^([^/]*://)[^/]*@")
"""After any scheme, with what a remote helper puts in front; a password may have an @ in it."""


class GitState(NamedTuple):
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
    import subprocess  # 4 ms, and many runs start outside of any work tree

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


def recreate(
    root: str, commit: str, patch: bytes | None, *, branch: str, folder: str | None = None
) -> str:
    """Bring back the code that a run had, on a new branch; returns the work tree it is in (COD-5).

    patch: its uncommitted changes, None for none. folder: of a work tree to be made beside the one
    at `root`; without, that one is used, and must have no uncommitted changes of its own.
    Raises NotFound (the commit is not here), Invalid (no branch is called so), Exists (the branch),
    Conflict (the folder is there, git refuses, or the changes do not apply: then branch and folder
    are removed again).
    """
    found = _COMMIT.fullmatch(commit) and _call(root, "cat-file", "-e", f"{commit}^{{commit}}")
    if not found or found.returncode != 0:
        raise NotFound(
            f"Commit {commit} is not in {root}; fetch it, such as by `git fetch --all`, and repeat"
        )
    if _call(root, "check-ref-format", f"refs/heads/{branch}").returncode != 0:
        raise Invalid(f"Git takes no branch called {branch!r}; name another with `--branch`")
    if _call(root, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}").returncode == 0:
        raise Exists(f"Branch {branch} is in {root} already; name another with `--branch`")
    if folder is None:
        if _call(root, "status", "--porcelain", "--untracked-files=no").stdout:
            raise Conflict(
                f"{root} has uncommitted changes; commit or stash them, or have the code in a "
                "folder of its own: `--root FOLDER`"
            )
        _must(_call(root, "checkout", "--quiet", "-b", branch, commit))
        folder = root
    else:
        _must(_call(root, "worktree", "add", "--quiet", "-b", branch, folder, commit))
    if patch:
        done = _call(folder, "apply", "--binary", "--whitespace=nowarn", "-", given=patch)
        if done.returncode != 0:
            _undo(root, branch, None if folder == root else folder)
            raise Conflict(
                f"The run's uncommitted changes do not apply to its commit: {_said(done)}. They "
                f"are in its file `diff.patch`; `git checkout {commit}` has the commit alone"
            )
    return folder


def _undo(root: str, branch: str, folder: str | None) -> None:
    """Take back the branch that was just made, and the folder if it got one of its own."""
    if folder is None:
        _must(_call(root, "checkout", "--quiet", "-"))
    else:
        _must(_call(root, "worktree", "remove", "--force", folder))
    _must(_call(root, "branch", "--quiet", "-D", branch))


def _call(
    root: str, *arguments: str, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    import subprocess  # as above

    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", "-C", root, *arguments],
            input=given or b"",
            capture_output=True,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise Unavailable(f"git cannot be started: {error.strerror}") from error


def _must(done: subprocess.CompletedProcess[bytes]) -> None:
    if done.returncode != 0:
        raise Conflict(f"git refused: {_said(done)}")


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return "; ".join(done.stderr.decode(errors="replace").split("\n")).strip("; ")
