"""What callbacks tell W&B of themselves, and Lineal tells nobody."""

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

__all__ = ["context"]


def context(*_: Any, **__: Any) -> AbstractContextManager[SimpleNamespace]:
    """Begin a `with` in which attributes of what is known may be set; run or obj: of what."""
    known = ("deprecated", "env", "feature", "imports_finish", "imports_init", "label")
    return nullcontext(SimpleNamespace(**{name: SimpleNamespace() for name in known}))
