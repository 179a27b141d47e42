"""`lineal restore`: a run's code back in a work tree of git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import lineal as lineal_module
from lineal.client import session


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose run `p/r` started with uncommitted changes, and that went on since."""
    folder = Path("tree")
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "-q", "-b", "trunk")
    Path("train.py").write_text("print(1)\n")
    Path("logo.bin").write_bytes(b"\0\1\2")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    Path("train.py").write_text("print('as it ran')\n")
    Path("logo.bin").write_bytes(b"\0\3\4")
    lineal_module.init(project="p", id="r", settings={"console": "off"}).finish()
    session.close()
    Path("train.py").write_text("print('later')\n")
    git("add", ".")
    git("commit", "-q", "-m", "second")
    return Path.cwd()


def test_commit_and_changes_come_back_on_a_branch(lineal, tree):
    answer = lineal("restore", "p/r")
    assert answer.lines == [str(tree)]
    assert "with the changes that were not committed" in answer.err
    assert Path("train.py").read_text() == "print('as it ran')\n"
    assert Path("logo.bin").read_bytes() == b"\0\3\4"
    assert git("branch", "--show-current") == "lineal/r\n"


def test_a_work_tree_of_its_own_leaves_the_present_one(lineal, tree):
    Path("train.py").write_text("print('not committed')\n")
    answer = lineal("restore", "p/r", "--root", "../then", "--branch", "then")
    assert answer.lines == [str(tree.parent / "then")]
    assert Path("../then/train.py").read_text() == "print('as it ran')\n"
    assert Path("train.py").read_text() == "print('not committed')\n"
    assert git("branch", "--show-current") == "trunk\n"


def test_a_run_whose_code_was_committed_needs_no_changes(lineal, tree):
    lineal_module.init(project="p", id="clean", settings={"console": "off"}).finish()
    assert "all was committed" in lineal("restore", "p/clean").err
    assert Path("train.py").read_text() == "print('later')\n"


def test_uncommitted_changes_are_not_lost(lineal, tree):
    Path("train.py").write_text("print('not committed')\n")
    answer = lineal("restore", "p/r", fails=True)
    assert "commit or stash them" in answer.err
    assert Path("train.py").read_text() == "print('not committed')\n"
    assert git("branch", "--list", "lineal/*") == ""


@pytest.mark.parametrize("where", [(), ("--root", "../then")])
def test_changes_that_do_not_apply_leave_no_branch_and_no_folder(lineal, tree, where):
    Path("new.py").write_text("print('staged')\n")
    git("add", "new.py")
    lineal_module.init(project="p", id="staged", settings={"console": "off"}).finish()
    session.close()
    git("rm", "-q", "--cached", "new.py")
    if where:  # nothing lies in the way there: the changes themselves must not fit
        broken = lineal_module.init(project="p", id="staged", resume="must")
        Path(broken.dir, "diff.patch").write_text("--- a/no.py\n+++ b/no.py\n@@ -1 +1 @@\n-a\n+b\n")
        broken.finish()
        session.close()
    answer = lineal("restore", "p/staged", *where, fails=True)
    assert answer.code == 5
    assert "uncommitted changes do not apply" in answer.err
    assert git("branch", "--list", "lineal/*") == ""
    assert git("branch", "--show-current") == "trunk\n"
    assert not Path("../then").exists()
    assert Path("train.py").read_text() == "print('later')\n"
    assert Path("new.py").read_text() == "print('staged')\n"


def test_a_branch_or_folder_that_is_there_is_left_alone(lineal, tree):
    lineal("restore", "p/r", "--root", "../then")
    assert "name another with `--branch`" in lineal("restore", "p/r", fails=True).err
    answer = lineal("restore", "p/r", "--root", "../then", "--branch", "again", fails=True)
    assert "already exists" in answer.err


def test_a_run_whose_id_is_no_branch_needs_another(lineal, tree):
    lineal_module.init(project="p", id="night 1", settings={"console": "off"}).finish()
    session.close()
    said = lineal("restore", "p/night 1", fails=True).err
    assert "no branch called 'lineal/night 1'; name another with `--branch`" in said
    assert lineal("restore", "p/night 1", "--branch", "night-1").lines == [str(tree)]


def test_a_commit_that_is_not_here_is_named(lineal, tree, monkeypatch):
    Path("../other").mkdir()
    monkeypatch.chdir("../other")
    answer = lineal("restore", "p/r", fails=True)
    assert "in no git work tree" in answer.err
    git("init", "-q")
    answer = lineal("restore", "p/r", fails=True)
    assert answer.code == 4
    assert "git fetch --all" in answer.err


def test_a_run_without_a_commit_says_what_it_saved(lineal):
    lineal_module.init(
        project="p", id="r", settings={"console": "off", "disable_git": True}
    ).finish()
    assert "`lineal pull p/r`" in lineal("restore", "p/r", fails=True).err
