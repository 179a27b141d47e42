"""What a fork waits for."""

from __future__ import annotations

import subprocess
import sys


def _run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


FORK = """
def fork():
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
"""


def test_both_are_called_in_parent_and_child() -> None:
    code = f"""
import os
from lineal.forks import around_forks
around_forks(lambda: os.write(1, b"before\\n"), lambda: os.write(1, b"after\\n"))
{FORK}
fork()
fork()
"""
    assert _run(code) == ["before", "after", "after"] * 2


def test_what_comes_amid_a_fork_begins_with_the_next() -> None:
    code = f"""
import os, threading
from lineal.forks import around_forks
lock = threading.Lock()
def come():
    if come.left: come.left.pop(); around_forks(lock.acquire, lock.release)
come.left = [True]
around_forks(come, lambda: None)
{FORK}
fork()
print(lock.locked())
fork()
print(lock.locked())
"""
    assert _run(code) == ["False", "False"]
