"""A handler of a signal that logs, as programs save what they have before their job ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

import lineal
from lineal.client.artifact.contents import Added, Contents
from lineal.core.digest import of_bytes
from lineal.core.manifest import Entry
from lineal.errors import UsageError
from tests.robust import workers


def said_by(program: str, *arguments: str | Path) -> list[str]:
    """Run a program that prints a line for each line of the SDK; returns these."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.robust.{program}", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        out, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        pytest.fail(f"stuck after {out.splitlines()[-1:]}")
    lines = out.splitlines()
    assert process.returncode == 0, lines[-1:]
    return lines


def test_a_handler_may_log_and_wait_whatever_it_interrupts(tmp_path: Path) -> None:
    assert len(said_by("interrupted", tmp_path)) > 300


@pytest.mark.parametrize("what", ["artifacts", "runs"])
def test_what_ctrl_c_breaks_off_can_be_done_again(tmp_path: Path, what: str) -> None:
    lines = said_by("broken_off", tmp_path, what)
    assert [line for line in lines if not line.endswith(" fine")] == []
    assert len(lines) > 500


def entries() -> Iterator[Added]:
    for number in range(3):
        data = f"{number}".encode()
        yield Added(Entry(f"file {number}", of_bytes(data), len(data)), None)
        signal.raise_signal(signal.SIGUSR1)


def test_a_draft_is_not_logged_while_it_is_half_added_to(run: lineal.Run) -> None:
    contents, refused = Contents(), []

    def handle(_number: int, _frame: FrameType | None) -> None:
        for change in (contents.finalize, lambda: contents.add([]), lambda: contents.remove("a")):
            with pytest.raises(UsageError, match="by the code that was interrupted"):
                change()
            refused.append(change)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        contents.add(entries())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(refused) == 9
    assert [entry.path for entry in contents] == ["file 0", "file 1", "file 2"]
    contents.finalize()


def test_a_draft_may_be_logged_by_a_handler_while_it_is_logged(run: lineal.Run) -> None:
    draft = workers.draft("content")

    def handle(_number: int, _frame: FrameType | None) -> None:
        patch.undo()
        run.log_artifact(draft).wait()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(draft), "finalize", lambda _: signal.raise_signal(signal.SIGUSR1))
            assert run.log_artifact(draft).wait().version == "v0"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(lineal.Api({"project": "vision"}).artifact("data:latest").manifest) == 1
