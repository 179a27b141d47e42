from __future__ import annotations

import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.cli import folding
from tests.cli.test_messages import shell

TEXTS = st.text("ab 写", max_size=40)
WIDTHS = st.integers(1, 20)


@given(TEXTS, WIDTHS)
def test_words_are_kept_whole_and_lines_within_the_width(text, width):
    lines = folding.words(text, width)
    assert " ".join(lines) == text
    assert all(folding.columns_of(line) <= width or " " not in line for line in lines)


def test_a_command_in_backticks_is_kept_whole():
    assert folding.words("gone; `lineal artifact restore a` undoes it", 20) == [
        "gone;",
        "`lineal artifact restore a`",
        "undoes it",
    ]


def test_an_error_is_folded_on_a_terminal(lineal, photos):
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as read, os.fdopen(end, "wb") as stderr:
        shell("artifact", "show", "demo/nope", stderr=stderr, env={"COLUMNS": "40"})
        told = read.read(4096).decode()
    assert told.splitlines() == [
        "error: No artifact ana/demo/nope (you",
        "are ana). `lineal artifact ls ana/demo`",
        "lists: photos",
    ]


def test_a_branch_goes_on_below_itself_and_beside_the_others():
    line = "│  └─ evaluate (9fwgs856) · evaluate run"
    assert folding.branch(line, 30) == [
        "│  └─ evaluate (9fwgs856) ·",
        "│     evaluate run",
    ]
    assert folding.branch(line, 40) == [line]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (None, ["vision/a1  finished   12 s  loss=0.1 acc=0.9"]),
        (44, ["vision/a1  finished   12 s  loss=0.1 acc=0.9"]),
        (43, ["vision/a1  finished   12 s", "    loss=0.1 acc=0.9"]),
        (24, ["vision/a1  finished", "     12 s", "    loss=0.1 acc=0.9"]),
        (16, ["vision/a1", "    finished", "     12 s", "    loss=0.1", "    acc=0.9"]),
    ],
)
def test_columns_that_have_no_room_stand_below(width, lines):
    cells = ["vision/a1", "finished", "12 s", "loss=0.1 acc=0.9"]
    widths, right = [9, 8, 5, 30], [False, False, True, False]
    assert folding.row(cells, widths, right, width) == lines


def test_an_empty_cell_takes_no_line_of_its_own():
    assert folding.row(["a", "", ""], [8, 8, 8], [False] * 3, 12) == ["a"]
    assert folding.row(["", ""], [8, 8], [False] * 2, 12) == [""]


@pytest.mark.parametrize(
    "words",
    [
        ("artifact", "ls", "demo/photos"),
        ("artifact", "show", "demo/photos"),
        ("run", "ls", "demo"),
        ("lineage", "demo/photos"),
        ("storage", "demo"),
    ],
)
def test_on_a_terminal_no_line_is_wider_than_it_but_for_one_word(lineal, photos, words):
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as read, os.fdopen(end, "wb") as stdout:
        shell(*words, stdout=stdout, env={"COLUMNS": "30", "NO_COLOR": "1"})
        told = read.read(65536).decode()
    for line in told.splitlines():
        assert folding.columns_of(line) <= 30 or len(line.split()) <= 2, line
    assert told.replace("│", "").split() == lineal(*words).out.replace("│", "").split()
