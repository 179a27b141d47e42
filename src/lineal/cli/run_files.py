"""`lineal run files` and `lineal pull`: what files are saved with a run, and fetching them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lineal.cli import describe, output
from lineal.cli.connect import connect
from lineal.cli.options import Json, Run
from lineal.client.artifact import adding
from lineal.client.pages import BULK_PAGE_SIZE, all_of
from lineal.client.public.files import File
from lineal.core import file_paths
from lineal.core.records import RunFileRecord
from lineal.errors import Exists, MissingFile

if TYPE_CHECKING:
    from lineal.client.public.run import Run as PublicRun


def files(
    run: Run,
    get: Annotated[
        list[str] | None, typer.Option("--get", metavar="NAME", help="Fetch it; repeatable")
    ] = None,
    root: Annotated[str, typer.Option(metavar="FOLDER", help="Folder to fetch into")] = ".",
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over files there that are different")
    ] = False,
    json: Json = False,
) -> None:
    """List the files saved with a run, or fetch some of them.

    \b
    Example:
      lineal run files vision/abcd1234 --get requirements.txt --root files
    """
    connection = connect()
    record = connection.run(run)
    if get:
        public = connection.public_run(record)
        _fetch([_file(public, name) for name in get], root, replace=replace)
        fetched = [os.path.join(root, name) for name in get]
        if json:
            output.as_json_list(fetched)
        else:
            output.data("\n".join(fetched))
        return
    listed = partial(connection.backend.run_files, record.key)
    found: Iterator[RunFileRecord] = all_of(listed, size=BULK_PAGE_SIZE)
    if json:
        output.as_json_list(describe.run_file(file) for file in found)
        return
    output.table(
        ("size", "updated", "file"),
        ((output.size(file.size), file.updated_at, file.path) for file in found),
        right=("size",),
        none=f"No files are saved with {record.path}",
    )


def _file(run: PublicRun, name: str) -> File:
    try:
        return run.file(name)
    except MissingFile as error:
        path = "/".join(run.path)
        raise MissingFile(
            f"{error.message}; `lineal run files {shlex.quote(path)}` lists all"
        ) from error


def pull(
    run: Run,
    root: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Folder to fetch into; default `./RUN_ID`")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over files there that are different")
    ] = False,
) -> None:
    """Fetch all files saved with a run; prints the folder.

    Files that are there already with the right content are not fetched again; others in the way
    are an error, and nothing is fetched.

    \b
    Example:
      lineal pull vision/abcd1234 --root files
    """
    connection = connect()
    record = connection.run(run)
    folder = root or record.run_id
    public = connection.public_run(record)
    fetched = _fetch(public.files(), folder, replace=replace)
    count, size = len(fetched), sum(file.size for file in fetched)
    output.note(f"{record.path}: {output.plural(count, 'file')}, {output.size(size)}")
    output.data(folder)


def _fetch(files: Iterable[File], folder: str, *, replace: bool) -> list[File]:
    """Fetch the files that are not in the folder already, and return them.

    Raises Exists, before anything is fetched, for another file in the way.
    """
    missing = []
    for file in files:
        target = os.path.join(folder, *file_paths.entry_path(file.name).split("/"))
        if os.path.isfile(target) and adding.digest_of(target) == file.digest:
            continue
        if os.path.lexists(target) and not replace:
            raise Exists(f"{target} is there and different; `--replace` overwrites it")
        missing.append(file)
    for file in missing:
        file.download(root=folder, replace=True).close()
    return missing
