"""Which commands of a group are made, and what `--help` prints of them: all, by subject.

A command's subject is its `rich_help_panel`, which Typer itself heeds only where Rich draws help.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

import typer

from lineal.nearest import nearest

ARTIFACTS = "Artifacts"
RUNS = "Runs"
SWEEPS = "Sweeps"
SPACE = "Projects and space"
HERE = "This machine, this folder"
_COMMANDS = "Commands"
_SUBJECTS = (ARTIFACTS, RUNS, SWEEPS, SPACE, HERE, _COMMANDS)


_WORDS_OF_OTHERS = {
    "add": "put", "log": "put", "upload": "put", "push": "put",
    "download": "get", "fetch": "get", "pull": "get",
    "list": "ls", "info": "show", "describe": "show", "cat": "show",
    "delete": "rm", "remove": "rm", "del": "rm", "undelete": "restore",
    "compare": "diff", "move": "mv", "graph": "lineage", "du": "storage",
}  # fmt: skip
"""What other programs call some commands."""
_MEANT_MOST = 3
"""Commands that one message names."""


class Group(typer.core.TyperGroup):
    """Has help in which nothing is cut short, and says which commands a misspelt one may mean."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.suggest_commands = False  # Typer's know this group alone, and no other words
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            if args and (found := _meant(ctx, args[0])):
                said = str(getattr(error, "message", error)).removesuffix(".")
                words = " or ".join(f"`{each}`" for each in found)
                error.message = f"{said}; did you mean {words}?"
            raise

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


def new_group(help: str, *, cls: type[Group] = Group) -> typer.Typer:
    """Return a group to which commands are added; without a command it prints its help."""
    # plain help: readable anywhere, and starts twice as fast
    return typer.Typer(cls=cls, help=help, no_args_is_help=True, rich_markup_mode=None)


def _meant(context: Any, word: str) -> list[str]:
    """Return the commands that a word may mean: of this group, or else of one beside it.

    Names that are the same come before what is spelt alike: `lineal get` is `lineal artifact get`.
    """
    if word.startswith("-"):
        return []
    if word == "help":
        return [f"{context.command_path} --help"]
    top = context.find_root()
    here, everywhere = _paths(context.command), _paths(top.command)
    other = _WORDS_OF_OTHERS.get(word)
    for known, prefix in ((here, context.command_path), (everywhere, top.info_name)):
        for wanted in (word, other):
            same = [path for path in known if path[-1] == wanted]
            if same:
                return [" ".join((prefix, *path)) for path in same[:_MEANT_MOST]]
    near = nearest(word, [path[-1] for path in here if len(path) == 1], count=_MEANT_MOST)
    return [f"{context.command_path} {name}" for name in near]


def _paths(command: Any, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of all commands and groups below a group."""
    found = []
    for name, child in getattr(command, "commands", {}).items():
        found += [(*words, name), *_paths(child, (*words, name))]
    return found


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
