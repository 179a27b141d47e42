"""What a notebook shows of runs, sweeps and projects: there is no page of theirs to embed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lineal.client.capture import notebook

PIXELS = 420
"""W&B's default height."""


class Shown:
    """Something with a name and some values, that can be shown in a notebook."""

    def _to_show(self) -> tuple[str, Sequence[tuple[str, Any]]]:
        """Return what it is called, and its keys and values."""
        raise NotImplementedError("each kind of them has its own")

    def display(self, height: int = PIXELS, hidden: bool = False) -> bool:
        """Show it in a notebook; False, and nothing is shown, where this is none."""
        shell = notebook.shell()
        if shell is None:
            return False
        shell.display_pub.publish(
            {"text/plain": repr(self), "text/html": self.to_html(height, hidden)}
        )
        return True

    def to_html(self, height: int = PIXELS, hidden: bool = False) -> str:
        """Return its name and its values as HTML.

        height: pixels at most. hidden: folded until somebody clicks.
        """
        from lineal.client.media import markup  # only notebooks show anything

        title, rows = self._to_show()
        table = markup.table(("key", "value"), rows)
        return markup.folded(title, table, height=height, is_open=not hidden)


def of_summary(summary: Any) -> list[tuple[str, Any]]:
    """Return what to show of a summary: all but what Lineal keeps there itself."""
    return sorted((key, value) for key, value in summary.items() if not key.startswith("_"))
