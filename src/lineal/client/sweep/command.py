"""The command of a trial: a sweep's program, with its parameters filled in (SWP-6)."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from lineal.core.sweeps import MACRO, MACROS, VARIABLE
from lineal.core.trials import by_path
from lineal.errors import Invalid

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")


def build(document: Mapping[str, Any], parameters: Mapping[str, Any], folder: str) -> list[str]:
    """Return the command of one trial.

    folder: where `${args_json_file}` may be written. Raises Invalid for a macro that is neither
    known nor a parameter, naming those that are.
    """
    template = document.get("command") or DEFAULT
    arguments: list[str] = []
    for part in map(str, template):
        arguments += _expanded(part, document, parameters, folder)
    if not arguments:
        raise Invalid("The sweep's command is empty; give `program`, or a `command`")
    return arguments


def _expanded(
    part: str, document: Mapping[str, Any], parameters: Mapping[str, Any], folder: str
) -> list[str]:
    whole = MACRO.fullmatch(part)
    if whole is None:
        return [MACRO.sub(lambda found: _text(found.group(1), document, parameters), part)]
    name = whole.group(1)
    if name == "env":
        return ["/usr/bin/env"]
    if name == "args":
        return [f"--{path}={_argument(value)}" for path, value in by_path(dict(parameters))]
    if name == "args_no_hyphens":
        return [f"{path}={_argument(value)}" for path, value in by_path(dict(parameters))]
    if name == "args_no_boolean_flags":
        return [
            f"--{path}" if value is True else f"--{path}={_argument(value)}"
            for path, value in by_path(dict(parameters))
            if value is not False
        ]
    if name == "args_json":
        return [json.dumps(parameters)]
    if name == "args_json_file":
        return [_json_file(parameters, folder)]
    return [_text(name, document, parameters)]


def _text(name: str, document: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    if name == "interpreter":
        return sys.executable or "python"
    if name == "program":
        program = document.get("program")
        if not program:
            raise Invalid("The command names ${program}, but the sweep has no `program`")
        return str(program)
    if name.startswith(VARIABLE):
        return os.environ.get(name.removeprefix(VARIABLE), "")
    values = dict(by_path(dict(parameters)))
    if name in values:
        return _argument(values[name])
    if name in MACROS:
        raise Invalid(f"${{{name}}} must be an element of `command` by itself")
    known = [*MACROS, f"{VARIABLE}NAME", *values]
    raise Invalid(f"${{{name}}} in the sweep's command is not known; known are {', '.join(known)}")


def _argument(value: Any) -> str:
    """Write a value as programs read it: texts as they are, lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)


def _json_file(parameters: Mapping[str, Any], folder: str) -> str:
    descriptor, path = tempfile.mkstemp(prefix="parameters-", suffix=".json", dir=folder)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(parameters, file)
    return path
