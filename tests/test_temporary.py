"""Folders among the temporary files: theirs goes with processes, however these end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lineal.files.temporary import TemporaryFolder

MAKE = "from lineal.files.temporary import TemporaryFolder; made = TemporaryFolder('lineal-x-')"
DISABLED = "import lineal; lineal.init(mode='disabled').dir"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@contextmanager
def process(program: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program up to its end, where it waits to be told to go on."""
    started = subprocess.Popen(
        [sys.executable, "-c", f"{program}\nprint('ready', flush=True); input()"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
        started.communicate("\n", timeout=60)


@pytest.mark.parametrize("program", [MAKE, DISABLED])
def test_what_a_killed_process_left_goes_with_the_next(program: str, temporary: Path) -> None:
    with process(program) as living, process(program) as killed:
        assert len(os.listdir(temporary)) == 2
        killed.kill()
        killed.wait()
        assert len(os.listdir(temporary)) == 2
        with process(program):
            assert len(os.listdir(temporary)) == 2  # its own, and that of the living one
        assert living.poll() is None
        assert len(os.listdir(temporary)) == 1
    assert os.listdir(temporary) == []


def test_what_is_closed_is_gone_and_may_be_closed_again(temporary: Path) -> None:
    folder = TemporaryFolder("lineal-x-")
    Path(folder.path, "inside").mkdir()
    folder.close()
    folder.close()
    assert os.listdir(temporary) == []


def test_a_forked_child_leaves_the_folder_to_its_parent_and_keeps_it_locked(
    temporary: Path,
) -> None:
    fork = f"{MAKE}\nimport os, signal\nchild = os.fork()\nif not child: "
    with process(fork + "raise SystemExit\nos.wait()"):
        assert len(os.listdir(temporary)) == 1
    note = "open(made.path + '/child', 'w').write(str(child))"
    with process(f"{fork}signal.pause()\n{note}") as killed:
        [left] = temporary.iterdir()
        child = int((left / "child").read_text())
        killed.kill()
        killed.wait()
        with closing(TemporaryFolder("lineal-x-")):
            assert left.exists()
        os.kill(child, signal.SIGKILL)


def _left(temporary: Path) -> Path:
    """Make what a killed process of this machine left."""
    folder = temporary / "lineal-x-left"
    folder.mkdir()
    (folder / ".lock").write_text(os.uname().nodename)
    return folder


def _elsewhere(temporary: Path) -> None:
    (_left(temporary) / ".lock").write_text("another-machine")


def _not_locked_yet(temporary: Path) -> None:
    (_left(temporary) / ".lock").write_text("")


def _of_older_versions(temporary: Path) -> None:
    (_left(temporary) / ".lock").unlink()


def _behind_a_link(temporary: Path) -> None:
    _left(temporary).rename(temporary.parent / "kept")
    (temporary / "lineal-x-left").symlink_to(temporary.parent / "kept")


def _of_another_user(temporary: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may give files away")
    os.chown(_left(temporary), 1234, 1234)


@pytest.mark.parametrize(
    "make", [_elsewhere, _not_locked_yet, _of_older_versions, _behind_a_link, _of_another_user]
)
def test_what_may_be_of_a_living_process_or_of_others_stays(
    make: Callable[[Path], None], temporary: Path
) -> None:
    make(temporary)
    with closing(TemporaryFolder("lineal-x-")):
        assert len(os.listdir(temporary)) == 2
    assert os.listdir(temporary) == ["lineal-x-left"]


def test_what_is_surely_left_goes(temporary: Path) -> None:
    _left(temporary)
    TemporaryFolder("lineal-x-").close()
    assert os.listdir(temporary) == []
