"""The collector is asked less often for a while, and is as it was afterwards."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lineal.collector import SELDOM, seldom_collected, uncollected


class Node:
    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_the_thresholds_are_raised_and_come_back() -> None:
    with suppress(KeyError), seldom_collected():
        assert gc.get_threshold() == (SELDOM, 10, 10)
        with seldom_collected():
            assert gc.get_threshold() == (SELDOM, 10, 10)
        assert gc.get_threshold() == (SELDOM, 10, 10)
        raise KeyError
    assert gc.get_threshold() == (700, 10, 10)


def test_whoever_leaves_last_puts_them_back() -> None:
    entered, leave = threading.Event(), threading.Event()

    @seldom_collected()
    def work() -> None:
        entered.set()
        leave.wait(60)

    thread = threading.Thread(target=work)
    with seldom_collected():
        thread.start()
        entered.wait(60)
    assert gc.get_threshold() == (SELDOM, 10, 10)
    leave.set()
    thread.join()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (50_000, 5, 5)])
def test_what_the_user_chose_is_left_alone(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    with seldom_collected():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


def test_garbage_of_others_is_still_found_meanwhile() -> None:
    gone = weakref.ref(Node())
    with seldom_collected():
        kept = [[] for _ in range(2 * SELDOM)]
    assert gone() is None
    assert len(kept) == 2 * SELDOM


def test_loading_pauses_it_and_freezes_nothing() -> None:
    with suppress(KeyError), uncollected():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_frozen_objects_of_the_user_stay_frozen() -> None:
    code = (
        "import gc; from lineal.collector import uncollected; gc.freeze(); "
        "count = gc.get_freeze_count(); context = uncollected(); context.__enter__(); "
        "context.__exit__(None, None, None); assert gc.get_freeze_count() >= count > 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_forked_child_begins_anew() -> None:
    with seldom_collected():
        child = os.fork()
        if child == 0:
            with seldom_collected():
                raised = gc.get_threshold()
            os._exit(0 if (raised, gc.get_threshold()) == ((SELDOM, 10, 10), (700, 10, 10)) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert gc.get_threshold() == (700, 10, 10)
