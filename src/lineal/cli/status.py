"""`lineal status` and `lineal version`: where everything is, how big, and which settings rule."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.options import Json
from lineal.config import load, setting_names, sources, unknown_variables


def status(json: Json = False) -> None:
    """Show where the data is, its size, and the settings in force."""
    connection = connect()
    found = connection.backend.status()
    settings, unknown = settings_in_force(), unknown_variables()
    if json:
        output.as_json(
            {
                "version": installed_version(),
                "url": connection.backend.url,
                "entity": found.entity,
                "paths": found.paths,
                "sizes": found.sizes,
                "counts": found.counts,
                "blob_bytes": found.blob_bytes,
                "versions_bytes": found.versions_bytes,
                "settings": {
                    name: {"value": value, "source": source} for name, value, source in settings
                },
                "unknown_variables": list(unknown),
            }
        )
        return
    output.fields([("instance", connection.backend.url), ("entity", found.entity)])
    output.heading("paths")
    output.table(
        ("what", "size", "path"),
        (
            (name, output.size(found.sizes[name]) if name in found.sizes else "", path)
            for name, path in found.paths.items()
        ),
        right=("size",),
    )
    output.heading("contents")
    output.fields([(name, f"{count:,}") for name, count in found.counts.items()])
    output.fields(
        [
            ("bytes stored", f"{output.size(found.blob_bytes)}, equal content once"),
            ("bytes in versions", f"{output.size(found.versions_bytes)}, counted for each"),
        ]
    )
    changed = [row for row in settings if row[2] != "default"]
    if changed:
        output.heading("settings")
        output.table(("name", "value", "from"), changed)
    rest = f"{len(settings) - len(changed)} other" if changed else f"All {len(settings)}"
    output.note(f"{rest} settings are at their default; `--json` shows them, too")
    for variable, hint in unknown.items():
        output.note(f"warning: {variable} is no variable of Lineal's and changes nothing{hint}")


def settings_in_force() -> list[tuple[str, Any, str]]:
    """Return name, value and source of every setting: a variable, a file, or `default`."""
    loaded, found = load(), sources()
    return [(name, getattr(loaded, name), found.get(name, "default")) for name in setting_names()]


def version(json: Json = False) -> None:
    """Print the version of Lineal."""
    if json:
        output.as_json({"lineal": installed_version(), "python": platform.python_version()})
    else:
        output.data(f"lineal {installed_version()} (Python {platform.python_version()})")


def installed_version() -> str:
    try:
        return metadata.version("lineal")
    except metadata.PackageNotFoundError:
        return "unknown (not installed as a package)"
