"""A file with settings: the section `[default]` of an INI file, read whole and changed by lines."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from lineal.errors import Invalid, Unavailable

_SECTION = "[default]"


def read(path: str) -> dict[str, str]:
    """Return what a file says; what is no file says nothing.

    Raises Invalid for one that is not written as it must be, Unavailable if it may not be read.
    """
    if not os.path.isfile(path):
        return {}
    import configparser  # few homes and work trees have such a file

    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8-sig") as file:
            parser.read_file(file)
    except configparser.MissingSectionHeaderError as error:
        raise Invalid(
            f"Cannot read the settings file {path}: line {error.lineno} stands before any "
            "section; begin it with [default]"
        ) from error
    except configparser.Error as error:
        told = " ".join(str(error).split())
        raise Invalid(f"Cannot read the settings file {path}: {told}") from error
    except UnicodeDecodeError as error:
        raise Invalid(
            f"Cannot read the settings file {path}: it is not UTF-8 ({error.reason} "
            f"{error.object[error.start]:#x}); save it as UTF-8"
        ) from error
    except OSError as error:  # without it, a run would go elsewhere
        raise Unavailable(
            f"Cannot read the settings file {path}: {error.strerror}. "
            "Make it readable for this user, or take it away"
        ) from error
    return dict(parser.items("default")) if parser.has_section("default") else {}


def change(path: str, values: Mapping[str, str]) -> None:
    """Let a file say these values; what else is in it stays, comments too.

    Raises Invalid for a value of several lines, Unavailable where it cannot be written.
    """
    lines = []
    if os.path.isfile(path):
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    for name, value in values.items():
        if not value.isprintable():
            raise Invalid(f"Setting `{name}` must be one line, not {value!r}")
        _set_line(lines, name, value)
    part = f"{path}.part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.replace(part, path)
    except OSError as error:
        raise Unavailable(f"Cannot write {path}: {error.strerror}") from error


def _set_line(lines: list[str], name: str, value: str) -> None:
    if _SECTION not in (stripped := [line.strip() for line in lines]):
        lines += [_SECTION] if not lines else ["", _SECTION]
        stripped = [line.strip() for line in lines]
    start = stripped.index(_SECTION) + 1
    end = next((i for i in range(start, len(lines)) if stripped[i].startswith("[")), len(lines))
    pattern = re.compile(rf"{re.escape(name)}\s*[=:]", re.IGNORECASE)
    at = next((i for i in range(start, end) if pattern.match(lines[i])), None)
    if at is None:
        lines.insert(start, f"{name} = {value}")
    else:
        lines[at] = f"{name} = {value}"
