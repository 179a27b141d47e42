"""`lineal artifact cache …`: what is kept outside the instance's own bytes, to save work (STO-4).

Files are stored once, and downloads come from there, so that there is no cache of content. What
grows is the digest cache, which saves reading files again that were read before.
"""

from __future__ import annotations

import math
import re
from typing import Annotated

import typer

from lineal.cli import output
from lineal.cli.groups import new_group
from lineal.cli.options import Json
from lineal.client.artifact import adding
from lineal.client.artifact.staging import remove_leftovers
from lineal.client.cache import DigestCache
from lineal.config import load
from lineal.errors import Invalid

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}

app = new_group("The cache of digests, which saves reading files again")


@app.callback()
def _group() -> None:
    """Keep `cleanup` a command of its own: a group of one would be that one."""


@app.command()
def cleanup(
    size: Annotated[
        str,
        typer.Argument(metavar="SIZE", help="Bytes it may take: `100MB`, `1GiB`, `0` …"),
    ],
    remove_temp: Annotated[
        bool,
        typer.Option("--remove-temp", help="Also copies that processes left which died"),
    ] = False,
    json: Json = False,
) -> None:
    """Make the digest cache at most so large; forgetting a file costs reading it once more.

    First go files that are gone or have changed, then those modified longest ago. Stored content
    is no cache: `lineal gc` frees what nothing needs.

    \b
    Example:
      lineal artifact cache cleanup 100MB
    """
    most_bytes = bytes_of(size)
    cache, staging = adding.cache_and_staging(load())
    shrunk = DigestCache(cache).shrink(most_bytes)
    if remove_temp:
        remove_leftovers(staging)
    if json:
        output.as_json(shrunk._asdict())
        return
    files = output.plural(shrunk.files_forgotten, "file")
    freed, left = output.size(shrunk.bytes_freed), output.size(shrunk.bytes_left)
    output.data(f"Forgot {files}, freed {freed}; {left} left")


def purge_cache() -> None:
    """Empty the digest cache, and remove copies that processes left which died.

    Same as `lineal artifact cache cleanup 0 --remove-temp`.
    """
    cleanup("0", remove_temp=True)


def bytes_of(text: str) -> int:
    """Return 1500000 for `1.5MB`, 1048576 for `1MiB`; a bare number is bytes. Raises Invalid."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise Invalid(f"{text!r} is no size; write it as `100MB`, `1GiB` or a number of bytes")
    unit = 1024 if found[3] else 1000
    size = float(found[1]) * unit ** _POWERS[found[2].lower()]
    if math.isinf(size):
        raise Invalid(f"{text!r} is more than any disk has")
    return int(size)
