"""What may have been meant by a name that is not known: the last words of a message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NEAR_MISSES_MOST = 2_000
"""Names compared when looking for a near miss; a message must not cost a table scan."""


def nearest(name: str, known: Iterable[str], *, count: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the known names that look like this one, the likest first.

    cutoff: from 0 (anything does) to 1 (only the same name).
    """
    import difflib  # only on the way to an error: runs that are short do without it

    return difflib.get_close_matches(name, known, n=count, cutoff=cutoff)


def did_you_mean(
    name: str, known: Iterable[str], *, otherwise: str = "", cutoff: float = 0.6
) -> str:
    """Return what follows "there is no such name": the nearest one, or `otherwise` if none is."""
    near = nearest(name, known, cutoff=cutoff)
    return f"; did you mean `{near[0]}`?" if near else otherwise


def near_misses(name: str, known: Sequence[str], *, prefix: str = "", others: str) -> str:
    """Say which names are meant perhaps, or else which there are; continues a message."""
    near = nearest(name, known, count=3)
    if near:
        return "; did you mean " + " or ".join(f"{prefix}{name}" for name in near) + "?"
    return f". {others}: " + ", ".join(known[:5]) + (" …" if len(known) > 5 else "")
