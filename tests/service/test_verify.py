from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineal.core.access import Actor
from lineal.service import deletion, gc
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.conftest import MovableClock
from tests.service.drafts import log


@contextmanager
def no_more_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    fillers = [os.open(os.devnull, os.O_RDONLY)]
    while fillers[-1] < highest:
        fillers.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)


def test_what_cannot_be_read_now_is_named_and_not_given_up_by_a_repair(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"123"})
    assert list(verify(instance, owner)) == []
    with no_more_open_files():
        (finding,) = verify(instance, owner, repair=True)
    assert "cannot be read now" in finding.what
    assert "log the same content again" not in finding.what
    assert list(verify(instance, owner)) == []


def test_what_a_sweep_takes_meanwhile_is_no_damage(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1", "b": b"2"})
    old = log(instance, owner, tmp_path, {"a": b"1", "c": b"3"})
    deletion.delete_version(instance, owner, old.membership_id, delete_aliases=True)
    clock.move(days=8)

    def sweep(_blobs: int, _bytes: int) -> None:
        gc.sweep(instance, owner)  # all that is stored has been looked up by now

    assert list(verify(instance, owner, sweep)) == []
