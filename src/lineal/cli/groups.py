"""Which commands of a group are made, and what `--help` prints of them: all, by subject.

A command's subject is its `rich_help_panel`, which Typer itself heeds only where Rich draws help.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

import typer

ARTIFACTS = "Artifacts"
RUNS = "Runs"
SWEEPS = "Sweeps"
SPACE = "Projects and space"
HERE = "This machine, this folder"
_COMMANDS = "Commands"
_SUBJECTS = (ARTIFACTS, RUNS, SWEEPS, SPACE, HERE, _COMMANDS)


class Group(typer.core.TyperGroup):
    """Has help in which nothing is cut short."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        subjects: dict[str, list[tuple[str, str]]] = {subject: [] for subject in _SUBJECTS}
        found = [self.commands[name] for name in self.list_commands(ctx)]
        for command in sorted(found, key=_comes_late):
            told = command.get_short_help_str(sys.maxsize).removesuffix(".")
            subjects[_subject(command)].append((command.name or "", told))
        for subject, rows in subjects.items():
            if rows:
                with formatter.section(subject):
                    formatter.write_dl(rows)


def _subject(command: Any) -> str:
    subject: str | None = getattr(command, "rich_help_panel", None)
    return subject or _COMMANDS


def _comes_late(command: Any) -> bool:
    """Tell whether a command stands behind the groups of its subject."""
    return _subject(command) != _COMMANDS and not isinstance(command, typer.core.TyperGroup)


def narrowed(group: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Return a group with nothing but the command that the first words name.

    Typer makes every command that it is given, some 0.04 s for all. Where the words begin with an
    option or name nothing, that is what they need: to be helped, or told what was meant.
    """
    if not words:
        return group
    found = copy.copy(group)
    found.registered_commands = [
        each for each in group.registered_commands if _name(each) == words[0]
    ]
    found.registered_groups = [
        _narrowed_group(each, words[1:])
        for each in group.registered_groups
        if each.name == words[0]
    ]
    return found if found.registered_commands or found.registered_groups else group


def _narrowed_group(registered: Any, words: Sequence[str]) -> Any:
    found = copy.copy(registered)
    found.typer_instance = narrowed(registered.typer_instance, words)
    return found


def _name(registered: Any) -> str:
    name: str = registered.name or typer.main.get_command_name(registered.callback.__name__)
    return name
