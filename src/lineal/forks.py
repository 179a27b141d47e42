"""What a fork must wait for, as the child would inherit it half-done and never see it end."""

from __future__ import annotations

import os
from collections.abc import Callable


def around_forks(before: Callable[[], object], after: Callable[[], object]) -> None:
    """Call one function before every fork of this process, and the other after it in both.

    `after` only where `before` was called: another thread may come here amid a fork.
    """
    was_called = False

    def enter() -> None:
        nonlocal was_called
        before()
        was_called = True

    def leave() -> None:
        nonlocal was_called
        if was_called:
            was_called = False
            after()

    os.register_at_fork(before=enter, after_in_parent=leave, after_in_child=leave)
