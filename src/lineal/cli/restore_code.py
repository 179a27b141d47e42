"""`lineal restore`: the code that a run had, back in a work tree of git (COD-5)."""

from __future__ import annotations

import os
import shlex
import tempfile
from typing import TYPE_CHECKING, Annotated

import typer

from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.options import Run
from lineal.client.capture import git
from lineal.core.records import RunRecord
from lineal.errors import NotFound, UsageError

if TYPE_CHECKING:
    from lineal.client.public.run import Run as PublicRun

HASH_SHOWN = 10


def restore(
    run: Run,
    branch: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the new branch; default `lineal/RUN_ID`"),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Make a work tree there, and leave the present one as it is"
        ),
    ] = None,
) -> None:
    """Bring back the code that a run had: its commit, and what was not committed then.

    To be called in a clone of the repository. Prints the folder that has the code.

    \b
    Examples:
      lineal restore vision/8vs6pjmh
      lineal restore vision/8vs6pjmh --root ../as-it-was
    """
    connection = connect()
    record = connection.run(run)
    if record.git_commit is None:
        raise NotFound(
            f"Run {record.path} was not started in a git work tree, or did not record it; "
            f"`lineal pull {shlex.quote(run)}` fetches the files that it saved"
        )
    here = git.find_root(os.getcwd())
    if here is None:
        of = f" of {record.git_remote}" if record.git_remote else ""
        raise UsageError(f"{os.getcwd()} is in no git work tree; go to a clone{of} and repeat")
    patch = _patch(connection.public_run(record))
    branch = branch or f"lineal/{record.run_id}"
    folder = None if root is None else os.path.abspath(os.path.expanduser(root))
    where = git.recreate(here, record.git_commit, patch, branch=branch, folder=folder)
    output.note(
        f"Branch {branch} at {record.git_commit[:HASH_SHOWN]}, {_about_changes(record, patch)}; "
        f"`lineal run show {shlex.quote(run)}` has the configuration"
    )
    output.data(where)


def _patch(run: PublicRun) -> bytes | None:
    found = list(run.files([git.DIFF_FILE]))
    if not found:
        return None
    with tempfile.TemporaryDirectory() as folder:
        found[0].download(root=folder).close()
        with open(os.path.join(folder, git.DIFF_FILE), "rb") as file:
            return file.read()


def _about_changes(record: RunRecord, patch: bytes | None) -> str:
    note = (record.metadata.get("git") or {}).get("note")
    if patch is not None:
        return "with the changes that were not committed"
    return str(note) if note else "where all was committed"
