"""What is left to the system when a process ends, and what never is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Python 3.12 freezes some hundred objects itself
LAST = "import atexit, gc; atexit.register(lambda: print('frozen', gc.get_freeze_count() > 9000))\n"
# the module and its function refer to each other
PLAIN = (
    LAST
    + """
def function(): pass
import lineal
with lineal.init(project="p") as run:
    run.log({"loss": 1})
    artifact = lineal.Artifact("a", "dataset")
    with artifact.new_file("file") as file:
        file.write("x")
    run.log_artifact(artifact)
"""
)


def _ended(code: str, folder: Path, *arguments: str) -> str:
    environment = {"LINEAL_HOME": str(folder / "home"), "PATH": "/usr/bin:/bin", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, *arguments, "-c", code],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return done.stdout


def test_what_nobody_would_miss_is_left(tmp_path: Path) -> None:
    assert _ended(PLAIN, tmp_path) == "frozen True\n"


def test_what_libraries_with_extension_modules_made_is_freed(tmp_path: Path) -> None:
    assert _ended(PLAIN + "import numpy\n", tmp_path) == "frozen False\n"


def test_a_file_that_was_not_closed_is_flushed(tmp_path: Path) -> None:
    code = PLAIN + "left = open('left.txt', 'w'); left.write('whole')\n"
    assert _ended(code, tmp_path) == "frozen False\n"
    assert (tmp_path / "left.txt").read_text() == "whole"


def test_files_that_were_closed_are_none(tmp_path: Path) -> None:
    code = PLAIN + "left = open('left.txt', 'w'); left.close()\n"
    assert _ended(code, tmp_path) == "frozen True\n"


@pytest.mark.parametrize("refers", ["", "self.itself = self; "])
def test_finalizers_are_called(tmp_path: Path, refers: str) -> None:
    code = f"""
class Kept:
    def __init__(self): {refers}self.path = "left.txt"
    def __del__(self, open=open):
        with open(self.path, "w") as file: file.write("whole")
kept = Kept()
"""
    assert _ended(code + PLAIN, tmp_path) == "frozen False\n"
    assert (tmp_path / "left.txt").read_text() == "whole"


def test_a_generator_leaves_its_block(tmp_path: Path) -> None:
    code = """
def lines(open=open):
    try: yield 1
    finally: open("left.txt", "w").write("whole")
waiting = lines()
"""
    assert _ended(code + PLAIN, tmp_path) == "frozen True\n"  # it has not entered it
    assert not (tmp_path / "left.txt").exists()
    assert _ended(code + "next(waiting)\n" + PLAIN, tmp_path) == "frozen False\n"
    assert (tmp_path / "left.txt").read_text() == "whole"


def test_a_database_of_the_user_is_closed(tmp_path: Path) -> None:
    code = """
import sqlite3
own = sqlite3.connect("own.db")
own.execute("PRAGMA journal_mode = WAL")
own.execute("CREATE TABLE t (x)")
"""
    assert _ended(code + PLAIN, tmp_path) == "frozen False\n"
    assert not (tmp_path / "own.db-wal").exists()


def test_one_that_is_in_no_file_is_not(tmp_path: Path) -> None:
    code = "import sqlite3\nown = sqlite3.connect(':memory:')\n"
    assert _ended(code + PLAIN, tmp_path) == "frozen True\n"


def test_classes_with_odd_names_of_modules_harm_nothing(tmp_path: Path) -> None:
    code = "class Odd: __module__ = property(lambda self: 1)\nodd = Odd()\n"
    assert _ended(code + PLAIN, tmp_path) == "frozen True\n"


def test_the_log_of_the_database_is_written_to_it(tmp_path: Path) -> None:
    _ended(PLAIN, tmp_path)
    assert not (tmp_path / "home" / "lineal.db-wal").exists()
    _ended("from lineal.cli import main; main(['run', 'ls'])", tmp_path)
    assert not (tmp_path / "home" / "lineal.db-wal").exists()
