"""Objects in space: files of models as they are, and clouds of points as JSON."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, ClassVar

from lineal.client import values
from lineal.client.media.arrays import as_numpy, numpy_for
from lineal.client.media.files import json_file
from lineal.client.media.one_file import OneFile, file_at, file_from
from lineal.errors import Invalid

if TYPE_CHECKING:
    from typing import Self

POINTS = "pts.json"
FORMATS = ("obj", "gltf", "glb", "babylon", "stl", POINTS)
SCENES = ("lidar/beta",)
_COLUMNS = (3, 4, 6)


class Object3D(OneFile):
    """A model, or points.

    data_or_path: path of a file that ends in one of `FORMATS`, kept as it is; such a file open
    for reading, with `file_type` unless its name ends so; an array or tensor of points of shape
    (n, 3): x, y, z; (n, 4): and a category; (n, 6): and red, green, blue; or a dict of a scene:
    `type` (`lidar/beta`), `points`, and lists of `boxes` and `vectors`.
    Raises Invalid, or MissingFile for a path that is not a file.
    """

    type_name: ClassVar[str] = "object3D-file"
    folder: ClassVar[str] = "media/object3D"
    list_type: ClassVar[str] = "object3D"

    def __init__(
        self, data_or_path: Any, caption: str | None = None, file_type: str | None = None
    ) -> None:
        if isinstance(data_or_path, str | os.PathLike):
            file = file_at(data_or_path, "Object3D", FORMATS)
        elif callable(getattr(data_or_path, "read", None)):
            file = file_from(data_or_path, "Object3D", file_type, FORMATS)
        elif isinstance(data_or_path, Mapping):
            file = json_file(_scene(data_or_path), f".{POINTS}")
        else:
            file = json_file(_points(data_or_path), f".{POINTS}")
        super().__init__(file, caption)

    @classmethod
    def from_file(
        cls, data_or_path: str | os.PathLike[str] | IO[Any], file_type: str | None = None
    ) -> Self:
        """Return that of a file, open or by its path."""
        return cls(data_or_path, file_type=file_type)

    @classmethod
    def from_numpy(cls, data: Any) -> Self:
        """Return that of an array of points."""
        return cls(data)

    @classmethod
    def from_point_cloud(
        cls,
        points: Any,
        boxes: Sequence[Mapping[str, Any]] = (),
        vectors: Sequence[Mapping[str, Any]] | None = None,
        point_cloud_type: str = "lidar/beta",
    ) -> Self:
        """Return a scene of points with boxes, by their `corners` (see `box3d`), and vectors."""
        return cls({"type": point_cloud_type, "points": points, "boxes": boxes, "vectors": vectors})


def box3d(
    *,
    center: Any,
    size: Any,
    orientation: Any,
    color: Any,
    label: str | None = None,
    score: float | None = None,
) -> dict[str, Any]:
    """Return a box for `Object3D.from_point_cloud`, by its corners.

    center, size: x, y and z. orientation: the rotation of the box, as the quaternion
    r + xi + yj + zk of any length above zero: (r, x, y, z). color: red, green, blue. label, score:
    shown with the box, if given.
    Raises Invalid for other shapes, and a quaternion of zeros.
    """
    numpy = numpy_for("box3d")
    middle, sides, rotation = (
        _vector(given, name, length)
        for given, name, length in (
            (center, "center", 3),
            (size, "size", 3),
            (orientation, "orientation", 4),
        )
    )
    if not rotation.any():
        raise Invalid("The orientation of a box is no rotation: all of its quaternion is zero")
    corners = numpy.array(list(itertools.product((-0.5, 0.5), repeat=3))) * sides
    corners = middle + corners @ _rotation_matrix(rotation).T
    return {
        "corners": tuple(map(tuple, corners.tolist())),
        "color": color,
        "label": label,
        "score": score,
    }


def _vector(given: Any, name: str, length: int) -> Any:
    vector = as_numpy(given, f"`{name}` of a box")
    if vector.shape != (length,):
        raise Invalid(f"`{name}` of a box is {length} numbers, not an array of {vector.shape}")
    return vector.astype(float)


def _rotation_matrix(quaternion: Any) -> Any:
    numpy = numpy_for("box3d")
    r, x, y, z = quaternion / numpy.linalg.norm(quaternion)
    return numpy.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - r * z), 2 * (x * z + r * y)],
            [2 * (x * y + r * z), 1 - 2 * (x * x + z * z), 2 * (y * z - r * x)],
            [2 * (x * z - r * y), 2 * (y * z + r * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _points(data: Any) -> list[list[float]]:
    points = as_numpy(data, "Object3D")
    if points.ndim != 2 or points.shape[1] not in _COLUMNS:
        raise Invalid(
            "Points have the shape (n, 3): x, y, z; (n, 4): and a category; "
            f"or (n, 6): and red, green, blue; not {points.shape}"
        )
    listed: list[list[float]] = points.tolist()
    return listed


def _scene(given: Mapping[str, Any]) -> dict[str, Any]:
    kind = given.get("type")
    if kind not in SCENES:
        raise Invalid(f"The `type` of a scene is one of {', '.join(SCENES)}, not {kind!r}")
    points = given.get("points")
    scene: dict[str, Any] = {
        key: values.plain(value, key)
        for key, value in given.items()
        if key not in ("points", "boxes", "vectors")
    }
    is_empty = points is None or as_numpy(points, "Object3D").size == 0
    scene["points"] = [] if is_empty else _points(points)
    for key in ("boxes", "vectors"):
        scene[key] = _parts(given.get(key), key)
    return scene


def _parts(items: Any, key: str) -> list[dict[str, Any]]:
    """Return the boxes or vectors of a scene with lists in place of arrays."""
    found = [] if items is None else list(items) if isinstance(items, Iterable) else [items]
    if not all(isinstance(item, Mapping) for item in found):
        raise Invalid(f"The `{key}` of a scene are a list of dicts, not {items!r:.80}")
    return [_listed(item) for item in found]


def _listed(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a box or a vector as JSON."""
    return {
        key: as_numpy(value, f"`{key}`").tolist()
        if hasattr(value, "tolist")
        else values.plain(value, key)
        for key, value in item.items()
    }
