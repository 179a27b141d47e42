"""Where lines are folded that are wider than the terminal: between words and columns, never within.

What is wider by itself, as a digest or a path may be, is left for the terminal to break, so that it
can be copied whole. Whether there is a terminal, and how wide it is, is for `output` to know.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

INDENT = "    "
"""Before what continues a row of a table."""
BETWEEN = "  "
_BRANCHES = re.compile("[│├└─ ]*")
_CONTINUED = str.maketrans("├└─", "│  ")


def words(text: str, width: int) -> list[str]:
    """Return lines that are no wider, but where one word, or what is in backticks, is."""
    lines: list[str] = []
    taken = 0
    for word in _unbroken(text):
        size = columns_of(word)
        if lines and taken + 1 + size <= width:
            lines[-1] += f" {word}"
            taken += 1 + size
        else:
            lines.append(word)
            taken = size
    return lines


def _unbroken(text: str) -> list[str]:
    """Return the words of a text; what stands in backticks is one, so that it can be copied."""
    found: list[str] = []
    is_open = False
    for word in text.split(" "):
        if is_open:
            found[-1] += f" {word}"
        else:
            found.append(word)
        is_open ^= word.count("`") % 2 == 1
    return found


def hanging(head: str, text: str, width: int, *, rest: str | None = None) -> list[str]:
    """Return lines of which the first begins with a head, and the others with `rest`, or blanks."""
    rest = " " * columns_of(head) if rest is None else rest
    first, *others = words(text, width - max(columns_of(head), columns_of(rest)))
    return [head + first, *(rest + line for line in others)]


def branch(line: str, width: int) -> list[str]:
    """Return a line of a tree as lines whose branches go on."""
    found = _BRANCHES.match(line)
    head = found[0] if found else ""
    return hanging(head, line[len(head) :], width, rest=head.translate(_CONTINUED))


def row(
    cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], width: int | None
) -> list[str]:
    """Return the lines of a table's row: columns that have no room any more stand below.

    width: of the terminal, None where there is none. Columns go down in all rows alike, but the
    last, which is as wide as its text, unless it is aligned to the right.
    """
    if width is None:  # as of a million rows that go into a file
        columns = zip(cells, widths, right, strict=True)
        return [BETWEEN.join(padded(*column) for column in columns).rstrip()]
    lines = [""]
    last = len(cells) - 1
    for column, (text, wide, is_right) in enumerate(zip(cells, widths, right, strict=True)):
        filled = padded(text, wide, is_right)
        needed = columns_of(text) if column == last and not is_right else wide
        if column == 0:
            lines[-1] = filled
        elif columns_of(lines[-1]) + len(BETWEEN) + needed <= width:
            lines[-1] += BETWEEN + filled
        elif column == last and not is_right:
            lines += hanging(INDENT, text, width)
        else:
            lines.append(INDENT + filled)
    return [stripped for line in lines if (stripped := line.rstrip())] or [""]


def padded(text: str, width: int, is_right: bool = False) -> str:
    """Return a text with blanks behind it, or before it, that make it so wide."""
    if text.isascii():
        return text.rjust(width) if is_right else text.ljust(width)
    blank = " " * (width - columns_of(text))
    return blank + text if is_right else text + blank


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a line takes: two for each wide East Asian letter."""
    if text.isascii():
        return len(text)
    others = [letter for letter in text if not letter.isascii()]
    return len(text) - len(others) + sum(map(_columns_of_letter, others))


def _columns_of_letter(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me"):  # stands on the letter before
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1
