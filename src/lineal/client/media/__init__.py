"""Data types, such as tables and images, as artifact files and as logged values (DAT-1).

A type is added by one line in `_WHERE` and one module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from lineal.client.media.types import DataObject, MediaSource, MediaTarget, Origin
from lineal.errors import Invalid

__all__ = [
    "DataObject",
    "MediaSource",
    "MediaTarget",
    "Origin",
    "class_for",
    "log_value",
    "read",
    "suffixes",
    "type_of",
]

_WHERE: Mapping[str, tuple[str, str]] = {
    "table": ("lineal.client.media.table", "Table"),
    "eval-table": ("lineal.client.media.eval_table", "EvalTable"),
    "joined-table": ("lineal.client.media.table_sets", "JoinedTable"),
    "partitioned-table": ("lineal.client.media.table_sets", "PartitionedTable"),
    "image-file": ("lineal.client.media.image", "Image"),
    "classes": ("lineal.client.media.classes", "Classes"),
    "boxes2D": ("lineal.client.media.layer", "BoundingBoxes2D"),
    "mask": ("lineal.client.media.layer", "ImageMask"),
    "histogram": ("lineal.client.media.histogram", "Histogram"),
    "html-file": ("lineal.client.media.html", "Html"),
    "audio-file": ("lineal.client.media.audio", "Audio"),
    "video-file": ("lineal.client.media.video", "Video"),
    "object3D-file": ("lineal.client.media.object3d", "Object3D"),
    "molecule-file": ("lineal.client.media.molecule", "Molecule"),
    "bokeh-file": ("lineal.client.media.bokeh", "Bokeh"),
    "graph-file": ("lineal.client.media.model_graph", "Graph"),
    "plotly-file": ("lineal.client.media.plotly", "Plotly"),
}
"""Type name → module and class; loaded when first used, so that `import lineal` stays quick."""


def type_of(obj: object) -> type[DataObject] | None:
    """Return the data type of an object, None for anything that is not one."""
    return type(obj) if isinstance(obj, DataObject) else None


def class_for(type_name: str) -> type[DataObject]:
    """Return the class that reads objects of this `_type`; raises Invalid for an unknown one."""
    if type_name not in _WHERE:
        raise Invalid(
            f"No data type is called {type_name!r} in this version of Lineal; "
            f"it knows {', '.join(_WHERE)}"
        )
    module, name = _WHERE[type_name]
    found: type[DataObject] = getattr(import_module(module), name)
    return found


def suffixes() -> list[str]:
    """Return the endings of the files that hold data objects: `.table.json` and so on (ART-36)."""
    return [f".{name}.json" for name in _WHERE]


def read(json_obj: Mapping[str, Any], source: MediaSource, path: str) -> DataObject:
    """Rebuild the object stored at `path` of a logged artifact, and remember where it was."""
    obj = class_for(str(json_obj.get("_type"))).read(dict(json_obj), source)
    obj._origin = Origin(source, path)
    return obj


def is_cell(value: object) -> bool:
    """Tell the JSON stub of a data object from other JSON."""
    return isinstance(value, dict) and value.get("_type") in _WHERE


def log_value(
    value: object, run: Any, key: str, step: int
) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Store a logged data object, or a list of them, with the run; None for any other value.

    Returns what stands for it in the history row.
    """
    if isinstance(value, DataObject):
        return value._log(run, key, step)
    if isinstance(value, list | tuple) and value and isinstance(value[0], DataObject):
        if all(isinstance(item, DataObject) and not item.has_lists for item in value):
            return [item._log(run, f"{key}_{at}", step) for at, item in enumerate(value)]
        return _log_list(value, run, key, step)
    return None


def _log_list(items: Sequence[object], run: Any, key: str, step: int) -> dict[str, Any]:
    first = type(items[0])
    assert issubclass(first, DataObject)
    for position, item in enumerate(items):
        if not first.has_lists or type(item) is not first:
            raise Invalid(
                f"`{key}` is a list with `{type(item).__name__}` at {position}; "
                "log a list of media of one type, or one object for each key"
            )
    return first._log_list(items, run, key, step)
