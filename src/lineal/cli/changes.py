"""What changed from one set of named values to another, as `diff` commands tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from lineal.cli import output
from lineal.core.row_diff import comparable


class Changes(NamedTuple):
    """By name, sorted."""

    added: Mapping[str, Any]
    removed: Mapping[str, Any]
    changed: Mapping[str, tuple[Any, Any]]
    """What was there, and what is."""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """Compare values that JSON has; 1 and 1.0 are the same, 1 and true are not."""
    return Changes(
        added={name: after[name] for name in sorted(after.keys() - before.keys())},
        removed={name: before[name] for name in sorted(before.keys() - after.keys())},
        changed={
            name: (before[name], after[name])
            for name in sorted(before.keys() & after.keys())
            if comparable(before[name]) != comparable(after[name])
        },
    )


def as_json(changes: Changes) -> dict[str, Any]:
    return {
        "added": changes.added,
        "removed": changes.removed,
        "changed": {
            name: {"before": old, "after": new} for name, (old, new) in changes.changed.items()
        },
    }


def show(of: str, changes: Changes) -> None:
    """Print a line for each; of: what they are parts of, such as `metadata`."""
    for sign, colour, values in (("+", "green", changes.added), ("-", "red", changes.removed)):
        for name, value in values.items():
            text = f"{sign} {of}.{output.cell(name)} = {told(value)}"
            output.data(text, colour=colour)
    for name, (old, new) in changes.changed.items():
        output.data(f"~ {of}.{output.cell(name)} = {change(old, new)}", colour="yellow")


def change(old: Any, new: Any) -> str:
    """Say in one line what became of a value, in full where that is what tells the two apart."""
    before, after = told(old), told(new)
    if before == after:  # a number's last digits, or a number and a text
        before, after = output.cell(repr(old)), output.cell(repr(new))
    return f"{before} → {after}"


def told(value: Any) -> str:
    """Say in one line what a value is, also that it is empty."""
    return json.dumps(value) if value in (None, "", [], {}) else output.cell(value)
