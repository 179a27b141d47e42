"""Who wants the same in the same folder waits for who fetches it, and never for anything else."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import open_below

from lineal.client import term
from lineal.client.artifact import turns
from lineal.client.artifact.turns import turn


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(9)
    return child


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("has_silence", [True, False])
def test_the_next_process_waits_until_the_first_one_is_done_or_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_silence: bool
) -> None:
    told, tell = os.pipe()
    go, let_go = os.pipe()
    locks, root = str(tmp_path), "/data"

    def first() -> None:
        os.close(let_go)  # so that it ends with the test, however that does
        with turn(locks, root, "7"):
            os.write(tell, b"1")
            os.read(go, 1)
            os.write(tell, b"-")
            os._exit(0)  # however it ends

    def second() -> None:
        os.close(let_go)
        if has_silence:
            said = iter([b"."])
            monkeypatch.setattr(turns.time, "sleep", lambda _: os.write(tell, next(said, b"")))
        else:
            monkeypatch.setattr(turns, "SILENT_SECONDS", 0)
            monkeypatch.setattr(term, "info", lambda text: os.write(tell, text.encode()))
        with turn(locks, root, "7"):
            os.write(tell, b"2")
            os._exit(0)

    try:
        children = [forked(first)]
        assert os.read(told, 99) == b"1"
        children.append(forked(second))
        heard = os.read(told, 99).decode()
        assert heard.strip(".") == (
            "" if has_silence else "another process downloads the same to /data; waiting for it"
        )
        while not has_silence and state(children[1]) == "R":
            continue  # until it waits, or ended, as it must not
        with turn(locks, root, "8"), turn(locks, "/other", "7"):
            os.write(let_go, b"x")
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        assert os.read(told, 1 << 20).replace(b".", b"") == b"-2"
    finally:
        for descriptor in (told, tell, go, let_go):
            os.close(descriptor)


def test_a_turn_leaves_no_lock_nor_an_open_file(tmp_path: Path) -> None:
    with turn(str(tmp_path), "/data", "7"):
        (lock,) = tmp_path.glob("*.lock")
    assert not lock.exists()
    with pytest.raises(KeyboardInterrupt), turn(str(tmp_path), "/data", "7"):
        raise KeyboardInterrupt
    assert not lock.exists()
    with turn(str(tmp_path), "/data", "7"):
        lock.unlink()  # as who waited before does
    assert open_below(tmp_path) == []


def test_where_no_lock_can_be_had_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    done = []
    with turn(str(tmp_path / "gone"), "/data", "7"):
        done.append("without a home")
    monkeypatch.setattr(fcntl, "lockf", refuse)
    with turn(str(tmp_path), os.fsdecode(b"/not utf-8 \xff"), "7"):
        done.append("without locks")
    assert done == ["without a home", "without locks"]
