"""Paths of files: inside an artifact, and on this machine.

Used by the SDK before anything is sent and by `service` again. Source: ART-25.
"""

from __future__ import annotations

import os
import re

from lineal.errors import HostilePath, Invalid

PATH_MAX_BYTES = 4096
"""Bytes in a path inside an artifact: what Linux accepts in one call."""
PATH_PART_MAX_BYTES = 255

_PLAIN_PATH = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*(/[A-Za-z0-9_\-][A-Za-z0-9_.\-]*)*")
"""Paths, as most are, in which nothing has to be looked for: no part begins with a dot."""
_DRIVE = re.compile(r".:", re.DOTALL)
"""Windows knows drives of letters only, but `ntpath.join` takes any character for one."""
_UPWARDS = re.compile(r"\.\.[. ]*")
"""Windows drops dots and spaces at the end of a part, so that `.. ` may mean `..`."""


def path_text(path: str | os.PathLike[str], what: str = "A path") -> str:
    """Return a path as text; raises TypeError for what is none."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a text or a path, not {path!r}")
    return text


def local_path(path: str | os.PathLike[str]) -> str:
    """Return a path of this machine as text.

    Raises TypeError for what is no path, and Invalid for what no file can be called: nothing, a
    text with a NUL or with what no encoding knows, or one of more than 4096 bytes.
    """
    text = path_text(path)
    if not text or "\0" in text:
        raise Invalid(f"Path {text!r} is empty or contains a NUL")
    try:
        size = len(text) if text.isascii() else len(os.fsencode(text))
    except UnicodeEncodeError as error:
        raise Invalid(f"Path {text!r} is not valid Unicode") from error
    if size > PATH_MAX_BYTES:
        raise Invalid(f"Path {text[:40]!r}… is too long for a file system: {size} bytes")
    return text


def entry_path(path: str | os.PathLike[str]) -> str:
    """Normalise a path inside an artifact: POSIX, relative, no way out of the folder (ART-25).

    Raises HostilePath for absolute paths, drive letters, `..` in POSIX or Windows spelling, NUL
    and line breaks, parts over 255 bytes, and text that is not valid Unicode.
    """
    if type(path) is not str:  # as seldom; to ask for a PathLike first takes a third of it all
        path = _entry_text(path)
    if _PLAIN_PATH.fullmatch(path):
        return path if len(path) <= PATH_PART_MAX_BYTES else _checked_length(path)
    if not path:
        raise HostilePath("A path in an artifact must not be empty")
    if any(character in path for character in "\0\n\r"):
        raise HostilePath(f"Path {path!r} in an artifact contains a NUL or a line break")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not any(part not in ("", ".") for part in path.replace("\\", "/").split("/")):
        raise HostilePath(f"Path {path!r} names no file")
    # The first part that remains counts: `./C:/x` would be absolute without its `./`.
    if path.startswith("/") or parts[0].startswith("\\"):
        raise HostilePath(f"Path {path!r} in an artifact must be relative")
    if _DRIVE.match(parts[0]):
        raise HostilePath(
            f"Path {path!r} in an artifact must not begin like a drive of Windows, with one "
            "character and a colon; add it under another name"
        )
    if any(_UPWARDS.fullmatch(part) for part in path.replace("\\", "/").split("/")):
        raise HostilePath(f"Path {path!r} leaves the artifact's folder through `..`")
    return _checked_length("/".join(parts))


def _entry_text(path: object) -> str:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise HostilePath(
            f"Path {text!r} in an artifact must be a text or a path, not a {type(text).__name__}"
        )
    return str.__str__(text)


def folder_path(path: str | os.PathLike[str] | None) -> str:
    """Normalise the path of a folder inside an artifact; `""` for all of it, as `.` and None mean.

    Raises HostilePath as `entry_path` does.
    """
    text = "" if path is None else os.fspath(path) if isinstance(path, os.PathLike) else path
    is_top = isinstance(text, str) and all(part in ("", ".") for part in text.split("/"))
    return "" if is_top and not text.startswith("/") else entry_path(text)


def _checked_length(path: str) -> str:
    try:
        encoded = path.encode()
    except UnicodeEncodeError as error:
        raise HostilePath(
            f"Path {path!r} is not valid Unicode; rename the file before logging it"
        ) from error
    if len(encoded) > PATH_MAX_BYTES or any(
        len(part) > PATH_PART_MAX_BYTES for part in encoded.split(b"/")
    ):
        raise HostilePath(f"Path {path[:40]!r}… is too long for a file system")
    return path
