"""What the command line prints: data to stdout, everything else to stderr, plain where piped.

Tables are readable without colour; colour appears only on a terminal that has not set NO_COLOR.
What is piped has one line for each thing; on a terminal that is too narrow, lines are folded.
What the encoding of the output lacks is written as an escape, as Python would write it.
"""

from __future__ import annotations

import errno
import io
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, TextIO

import typer

from lineal.cli import folding
from lineal.client import term
from lineal.errors import NoSpace, Unavailable, UsageError

BARS = "▁▂▃▄▅▆▇█"
DRAWING_WIDTH, DRAWING_WIDTH_LEAST = 40, 8
"""Columns of a sparkline, or of a bar that means all."""
COLUMNS_UNKNOWN = 80
"""Of a terminal that does not say how wide it is."""
MEASURED_ROWS = 1000
"""Rows that a streamed table looks at before it fixes the width of its columns."""
LABELS_SHOWN = 10
"""Aliases or tags in one cell of a table; a version may have thousands."""
_END_OF_OBJECT = "\n}"


def prepare() -> None:
    """Make the standard streams of this process ones that no text and no shell can break.

    A stream that the shell closed (`>&-`) is the null device: else the next file that is opened
    would get its number, and what a library prints would go there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def data(text: str = "", *, bold: bool = False, colour: str | None = None) -> None:
    """Print a line of what was asked for; if it is to a terminal, as no terminal obeys it."""
    if sys.stdout.isatty():
        text = term.harmless(text)
    verbatim(_styled(text, bold=bold, colour=colour))


def verbatim(text: str) -> None:
    """Print a line as it is, also to a terminal: what a program wrote to its own."""
    _write(text + "\n")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(error) from error


def flush() -> None:
    """Bring what was printed to where it goes; raises NoSpace or Unavailable naming stdout."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(error) from error


def flush_notes() -> None:
    """Bring notes to where they go; those that cannot be written are nobody's failure."""
    try:
        sys.stderr.flush()
    except OSError:
        forget(sys.stderr)


def forget(stream: TextIO) -> None:
    """Let go of what could not be printed: to exit would fail of it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unwritable(error: OSError) -> Unavailable:
    """Return what to say of an error of stdout, and let go of it."""
    forget(sys.stdout)
    text = f"Cannot write to standard output: {error.strerror}; what was printed is not complete"
    return NoSpace(text) if error.errno in (errno.ENOSPC, errno.EDQUOT) else Unavailable(text)


def note(text: str = "") -> None:
    """Print a line about what was asked for, as no terminal obeys it."""
    text = term.harmless(text)
    if (width := _columns_of(sys.stderr)) is not None:
        text = "\n".join(part for line in text.split("\n") for part in folding.words(line, width))
    with suppress(OSError):  # what was asked for is done all the same
        sys.stderr.write(text + "\n")


def as_xml(text: str) -> None:
    """Print an XML document, which names no encoding: what is no UTF-8 gets references instead."""
    data(text.encode("ascii", "xmlcharrefreplace").decode() if _must_escape() else text)


def as_json(value: Any) -> None:
    """Print one JSON document. NaN and infinities become the strings JSON has no numbers for."""
    data(_json_text(value, _must_escape(), indent=2))


def as_json_ending(value: Mapping[str, Any], key: str, items: Iterable[Any]) -> None:
    """Print an object as `as_json` does; its last key is an array that is printed as it comes."""
    must_escape = _must_escape()

    def text(of: Any) -> str:
        return _json_text(of, must_escape, indent=2)

    opened = False
    _write(text({**value, key: []}).removesuffix("]" + _END_OF_OBJECT))
    for item in items:
        _write((",\n    " if opened else "\n    ") + text(item).replace("\n", "\n    "))
        opened = True
    data(("\n  ]" if opened else "]") + _END_OF_OBJECT)


def as_json_list(items: Iterable[Any]) -> None:
    """Print a JSON array element by element, so that a million of them need no memory."""
    opened, must_escape = False, _must_escape()
    for item in items:
        _write((",\n  " if opened else "[\n  ") + _json_text(item, must_escape))
        opened = True
    data("\n]" if opened else "[]")


def _json_text(value: Any, must_escape: bool, indent: int | None = None) -> str:
    written = partial(json.dumps, indent=indent, ensure_ascii=must_escape, default=_unknown)
    try:
        return written(value, allow_nan=False)
    except ValueError:  # NaN or an infinity: `plain` takes longer than all else
        return written(plain(value))


def _unknown(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _must_escape() -> bool:
    """Tell whether stdout lacks characters: JSON has escapes of its own for them."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"


def plain(value: Any) -> Any:
    """Return the value with moments as ISO text and non-finite numbers as strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value.isoformat() if isinstance(value, datetime) else value


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[str] = (),
    none: str | None = None,
) -> None:
    """Print aligned columns, row by row as they come.

    headers: may be anybody's, as keys of a history are. right: those of the columns that are
    aligned to the right. none: what to note instead of a table without rows.
    """
    waiting: list[list[str]] = []
    widths: list[int] | None = None
    aligned_right = [header in right for header in headers]
    headers = [cell(header) for header in headers]
    for row in rows:
        cells = [cell(value) for value in row]
        if widths is not None:
            _print_row(cells, widths, aligned_right)
            continue
        waiting.append(cells)
        if len(waiting) == MEASURED_ROWS:
            widths = _print_measured(headers, waiting, aligned_right)
    if not waiting and none is not None:
        note(none)
    elif widths is None:
        _print_measured(headers, waiting, aligned_right)


def _print_measured(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> list[int]:
    widths = [
        max(folding.columns_of(header), *(folding.columns_of(row[column]) for row in rows), 0)
        for column, header in enumerate(headers)
    ]
    _print_row(headers, widths, right, bold=True)
    for row in rows:
        _print_row(row, widths, right)
    return widths


def _print_row(
    cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], *, bold: bool = False
) -> None:
    for line in folding.row(cells, widths, right, terminal_width()):
        data(line, bold=bold)


def fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print `name  value` lines, the values aligned; pairs without a value are left out."""
    shown = [(cell(name), cell(value)) for name, value in pairs if value not in (None, "", (), [])]
    width = max((folding.columns_of(name) for name, _ in shown), default=0)
    for name, text in shown:
        entry(folding.padded(name, width) + folding.BETWEEN, text)


def entry(head: str, text: str) -> None:
    """Print a line; what a terminal has no room for goes below its text, not below its head."""
    width = terminal_width()
    rest = None if head else folding.INDENT
    lines = [head + text] if width is None else folding.hanging(head, text, width, rest=rest)
    for line in lines:
        data(line)


def tree(text: str) -> None:
    """Print a tree; what a terminal has no room for goes below, beside its branches."""
    width = terminal_width()
    for line in text.split("\n"):
        for part in [line] if width is None else folding.branch(line, width):
            data(part)


def terminal_width() -> int | None:
    """Return how many columns the terminal has that stdout is, None if it is none."""
    return _columns_of(sys.stdout)


def _columns_of(stream: TextIO) -> int | None:
    if not stream.isatty():
        return None
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS_UNKNOWN
    except (OSError, ValueError):
        return COLUMNS_UNKNOWN


def drawing_width(taken: int) -> int:
    """Return how many columns a small drawing may have beside so many that are taken."""
    width = terminal_width()
    if width is None:
        return DRAWING_WIDTH
    return min(max(width - taken, DRAWING_WIDTH_LEAST), DRAWING_WIDTH)


def heading(text: str) -> None:
    data()
    data(text, bold=True)


def cell(value: Any) -> str:
    """Return one line of text, harmless to a terminal whatever a name contains."""
    # what most of a million rows are comes first
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, str):
        text = value
    elif value is None:
        return ""
    elif isinstance(value, datetime):
        return moment(value)
    elif isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    elif isinstance(value, Mapping):
        text = _media(value) or json.dumps(plain(value), ensure_ascii=False, default=str)
    else:
        text = str(value)
    return text if text.isprintable() else "".join(_visible(character) for character in text)


def labels(names: Sequence[str]) -> list[str]:
    """Return the first of some aliases or tags, and how many more there are."""
    left = len(names) - LABELS_SHOWN
    return [*names[:LABELS_SHOWN], *([f"… {left:,} more"] if left > 0 else [])]


_FILES = {
    "html-file": "page",
    "audio-file": "sound",
    "video-file": "video",
    "object3D-file": "3D object",
    "molecule-file": "molecule",
    "plotly-file": "figure",
}
_LISTS = {
    "html": "page",
    "audio": "sound",
    "videos": "video",
    "object3D": "3D object",
    "molecule": "molecule",
    "plotly": "figure",
}
"""What is logged as a file, and a list of such, by its `_type`."""


def _media(value: Mapping[str, Any]) -> str:
    """Say in a few words what an object is that was logged; nothing for any other mapping."""
    try:
        match value.get("_type"):
            case "histogram":
                first, *_, last = value["bins"]
                return f"{cell(float(first))} {sparkline(value['values'])} {cell(float(last))}"
            case "table-file" | "incremental-table-file":
                rows, columns = plural(value["nrows"], "row"), plural(value["ncols"], "column")
                return f"table of {rows}, {columns}"
            case "custom-chart":
                return f"chart of {plural(value['table']['nrows'], 'row')}"
            case "image-file":
                return f"image {value['width']} × {value['height']}: {value['path']}"
            case "images/separated":
                count, first = plural(value["count"], "image"), value["filenames"][0]
                return f"{count} {value['width']} × {value['height']}: {first} …"
            case kind if kind in _FILES:
                return f"{_FILES[kind]}: {value['path']}"
            case kind if kind in _LISTS:
                return f"{plural(value['count'], _LISTS[kind])}: {value['filenames'][0]} …"
            case _:
                return ""
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return ""  # a mapping of the user's own


def _visible(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def size(size_bytes: int | None) -> str:
    """Return `0 B`, `12.3 KiB`, `1.5 GiB`: as everywhere else; `?` where it is not known."""
    return "?" if size_bytes is None else term.size_text(size_bytes)


def exact_size(size_bytes: int) -> str:
    """Return `12.3 KiB (12,595 bytes)`."""
    return size(size_bytes) if size_bytes < 1024 else f"{size(size_bytes)} ({size_bytes:,} bytes)"


def moment(when: datetime) -> str:
    """Return the moment in local time, to the minute."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {whole % 60:02d} s"


def days(seconds: int) -> str:
    """Return `30 days`, `12 hours`, `90 s`: the largest unit that is exact."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds and seconds % length == 0:
            return plural(seconds // length, unit)
    return f"{seconds:,} s"


@contextmanager
def counting(label: str) -> Iterator[Callable[[str, int], None]]:
    """Show on stderr how far some work is: each step's name and count, on one line."""
    done: dict[str, int] = {}

    def count(step: str, more: int) -> None:
        done[step] = done.get(step, 0) + more
        parts = [f"{name} {number:,}" for name, number in done.items()]
        sys.stderr.write(f"{term.ERASE_LINE}{label}: {', '.join(parts)}")
        sys.stderr.flush()

    try:
        yield count
    finally:
        erase_progress()


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def sparkline(values: Sequence[float], width: int = DRAWING_WIDTH) -> str:
    """Draw finite values as one line of bars, the means of neighbours where there are many."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    if len(finite) > width:
        cuts = [len(finite) * index // width for index in range(width + 1)]
        pairs = itertools.pairwise(cuts)
        finite = [sum(value / (end - start) for value in finite[start:end]) for start, end in pairs]
    low, high = min(finite), max(finite)
    if math.isinf(high - low):
        return sparkline([value / 2 for value in finite], width)
    if high == low:
        return BARS[0] * len(finite)
    top = len(BARS) - 1
    return "".join(BARS[round((value - low) / (high - low) * top)] for value in finite)


def _styled(text: str, *, bold: bool, colour: str | None) -> str:
    """Return the text with escape codes, where stdout is a terminal that wants them."""
    if not (bold or colour) or not is_coloured(sys.stdout):
        return text
    return typer.style(text, bold=bold or None, fg=colour)


def is_coloured(stream: TextIO) -> bool:
    """Tell whether to use colour: a terminal, not a dumb one, and no NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def erase_progress() -> None:
    """Clear the progress line, so that what is printed next does not run into it."""
    if sys.stderr.isatty():
        sys.stderr.write(term.ERASE_LINE)
        sys.stderr.flush()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost; without a terminal to ask on, `--yes` must have been said."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to ask on; `--yes` does it")
    try:
        is_sure = typer.confirm(question, err=True)
    except typer.Abort:
        note()  # by Ctrl-C or Ctrl-D, which end no line
        raise
    if not is_sure:
        raise typer.Abort
