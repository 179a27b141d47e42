"""What `--help` prints of a group: its commands by subject, each with its whole first sentence.

A command's subject is its `rich_help_panel`, which Typer itself heeds only where Rich draws help.
"""

from __future__ import annotations

import sys
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
