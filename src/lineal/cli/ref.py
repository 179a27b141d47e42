"""`lineal ref …`: whether what references lead to is still what was recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.groups import new_group
from lineal.cli.options import Json, Version
from lineal.client import references, term
from lineal.client.references import checking
from lineal.client.references.scheme import State
from lineal.errors import Denied, IntegrityError

app = new_group("Hold references against the objects they lead to")


@app.callback()
def _group() -> None:
    """Keep `check` a command of its own: a group of one would be that one."""


@app.command()
def check(name: Version, json: Json = False) -> None:
    """Check every reference of a version against the object it leads to.

    `fresh`: unchanged; `recoverable`: the object changed, but its store kept the recorded version;
    `lost`; `forbidden`; `unchecked`: nothing was recorded to compare. Exit code 7 if any
    is lost, else 6 if any is forbidden.

    \b
    Example:
      lineal ref check vision/photos:v3
    """
    connection = connect()
    record = connection.version(name)
    opened = references.opened(connection.settings.reference_timeout)
    counts: Counter[State] = Counter()
    # what is drawn would be drawn over JSON that comes to the same terminal
    is_drawn = not json or output.terminal_width() is None

    def checked() -> Iterator[dict[str, str | None]]:
        with term.progress(f"checking {record.name}", files=record.entry_count) as progress:
            for entry, found in checking.check(opened, connection.entries(record)):
                counts[found.state] += 1
                if is_drawn:
                    progress.advance(files=1)
                yield {
                    "path": entry.path,
                    "ref": entry.ref,
                    "state": found.state.value,
                    "detail": found.detail,
                }

    if json:
        output.as_json_list(checked())
    else:
        _print_stale(checked())
    summary = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items()))
    output.note(f"{record.path}: {summary or 'no references'}")
    if counts[State.LOST]:
        raise IntegrityError(f"{output.plural(counts[State.LOST], 'reference')} lost")
    if counts[State.FORBIDDEN]:
        forbidden = output.plural(counts[State.FORBIDDEN], "reference")
        raise Denied(f"{forbidden} could not be checked: they may not be read from here")


def _print_stale(checked: Iterable[dict[str, str | None]]) -> None:
    """Print what is not fresh; what was found before a store did not answer is worth knowing."""
    told = []
    try:
        for each in checked:
            if each["state"] != State.FRESH:
                told.append(each)
    finally:
        for each in told:
            output.entry(f"{each['state']:<12} ", output.cell(f"{each['path']}  {each['detail']}"))
