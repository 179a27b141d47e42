"""Which commands are made for the words that were given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from lineal.cli.app import app
from lineal.cli.groups import narrowed


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield words, command
    for name, child in children.items():
        yield from commands(child, (*words, name))


def told(command: Any) -> tuple[str, list[Any]]:
    params = [(each.name, each.opts, each.default, each.required) for each in command.params]
    return command.get_help(typer.Context(command)), params


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_command_is_made_alone_as_it_is_among_all(words):
    made = dict(commands(typer.main.get_command(narrowed(app, [*words, "something", "--json"]))))
    assert made.keys() == {words}
    assert told(made[words]) == told(ALL[words])


@pytest.mark.parametrize("words", [[], ["--help"], ["--debug", "gc"], ["artefact"], ["cache"]])
def test_where_no_command_is_named_all_are_made(words):
    assert dict(commands(typer.main.get_command(narrowed(app, words)))).keys() == ALL.keys()


@pytest.mark.parametrize("words", [["artifact"], ["artifact", "-h"], ["artifact", "alais"]])
def test_where_only_a_group_is_named_all_of_it_is_made(words):
    made = dict(commands(typer.main.get_command(narrowed(app, words))))
    assert made.keys() == {words for words in ALL if words[0] == "artifact"}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("artifact lss", "`lineal artifact ls`"),
        ("artefact ls", "`lineal artifact`"),
        ("get vision/net", "`lineal artifact get`"),
        ("diff a b", "`lineal artifact diff` or `lineal run diff`"),
        ("ls", "`lineal artifact ls` or `lineal run ls` or `lineal sweep ls`"),
        ("artifact download a", "`lineal artifact get`"),
        ("run list", "`lineal run ls`"),
        ("project delete p", "`lineal project rm`"),
        ("help", "`lineal --help`"),
        ("artifact help", "`lineal artifact --help`"),
    ],
)
def test_a_command_that_there_is_not_names_those_that_may_be_meant(lineal, words, meant):
    answer = lineal(*words.split(), fails=True)
    assert answer.code == 2
    assert answer.err.startswith("error: No such command '")
    assert f"; did you mean {meant}?\n" in answer.err


def test_where_nothing_is_meant_nothing_is_guessed(lineal):
    assert lineal("zzzz", fails=True).err == (
        "error: No such command 'zzzz'\nTry `lineal --help`\n"
    )


def test_a_wrong_value_is_told_without_a_preface(lineal):
    answer = lineal("lineage", "p/net", "--format", "pdf", fails=True)
    assert "error: Invalid value for '--format' / '-f': 'pdf' is not one of 'tree'" in answer.err
