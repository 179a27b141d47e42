"""Boxes and masks of an image: named layers with class labels (DAT-7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lineal.client.media import arrays, pixels
from lineal.client.media.classes import ClassLabels, class_labels, classes_json
from lineal.client.media.files import MediaFile, json_file, read_json, stored
from lineal.client.media.types import MediaSource, MediaTarget
from lineal.errors import IntegrityError, Invalid

BOX_FOLDER = "media/metadata/boxes2D"
MASK_FOLDER = "media/images/mask"
CLASS_FOLDER = "media/classes"
_CORNERS = ("minX", "maxX", "minY", "maxY")
_CENTRE = ("middle", "width", "height")


def labels_file(labels: ClassLabels) -> MediaFile:
    return json_file(classes_json(labels), ".classes.json")


def read_labels(file: MediaFile) -> dict[int, str]:
    return _labels(file, read_json(file).get("class_set"))


def _labels(file: MediaFile, said: Any) -> dict[int, str]:
    try:
        return class_labels(said)
    except Invalid as error:
        raise IntegrityError(f"{file.shown} names no classes: {error}") from error


def named(layers: Any, what: str) -> Mapping[Any, Any]:
    """Return layers by name, as dicts; raises Invalid for anything but a dict of them."""
    if layers is not None and not isinstance(layers, Mapping):
        raise Invalid(
            f'{what} must be a dict of layers by name, such as {what}={{"predictions": …}}, '
            f"not {layers!r:.80}"
        )
    return {name: getattr(layer, "layer", layer) for name, layer in (layers or {}).items()}


# --- boxes ---


def boxes_file(layer: Any, where: str, labels: ClassLabels) -> MediaFile:
    """Check one layer of boxes and return its file; raises Invalid naming the box.

    Each box has a `position` (minX, maxX, minY, maxY, or middle, width, height), in pixels if
    `domain` is `pixel`, else as fractions of width and height, and may have `class_id`,
    `box_caption` and `scores`. A class without a label is shown by its number.
    """
    if not isinstance(layer, Mapping) or "box_data" not in layer:
        raise Invalid(f"{where} must be a dict with `box_data`")
    given = layer["box_data"]
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        raise Invalid(f"{where}: `box_data` must be a list of boxes, not {given!r:.80}")
    labels = class_labels(layer.get("class_labels")) or labels
    boxes = [_box(box, f"{where}, box {i}") for i, box in enumerate(given)]
    names = {str(key): name for key, name in labels.items()}
    return json_file({"box_data": boxes, "class_labels": names}, ".boxes2D.json")


def _box(box: Any, where: str) -> dict[str, Any]:
    position = _position(box.get("position")) if isinstance(box, Mapping) else None
    if position is None:
        raise Invalid(
            f"{where} needs a `position` of {', '.join(_CORNERS)} or of {', '.join(_CENTRE)}"
        )
    domain = box.get("domain")
    if domain not in (None, "pixel"):
        raise Invalid(f"{where}: domain {domain!r} is unknown; use `pixel`, or none for fractions")
    try:
        checked: dict[str, Any] = {"position": {k: _number(v) for k, v in position.items()}}
        if "scores" in box:
            checked["scores"] = _scores(box["scores"])
        if box.get("class_id") is not None:
            checked["class_id"] = int(box["class_id"])
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"{where}: {error}") from error
    if domain is not None:
        checked["domain"] = domain
    if box.get("box_caption") is not None:
        checked["box_caption"] = str(box["box_caption"])
    return checked


def _position(given: Any) -> dict[str, Any] | None:
    """Return corners, or middle and size; what else a library puts there is left out."""
    for keys in (_CORNERS, _CENTRE):
        if isinstance(given, Mapping) and given.keys() >= set(keys):
            return {key: given[key] for key in keys}
    return None


def _scores(scores: Any) -> dict[str, Any]:
    if scores is not None and not isinstance(scores, Mapping):
        raise TypeError(f"`scores` must be a dict of numbers by name, not {scores!r:.80}")
    return {str(name): _number(score) for name, score in (scores or {}).items()}


def _number(value: Any) -> Any:
    """Return Python's own number (NumPy's have no JSON); `middle` is a pair of them."""
    if isinstance(value, str | bool | Mapping) or value is None:
        raise TypeError(f"{value!r} is not a number")
    if hasattr(value, "__len__") and getattr(value, "shape", None) != ():  # a 0-d array is one
        return [_number(part) for part in value]
    return value if type(value) is int else float(value)


def read_boxes(file: MediaFile) -> dict[str, Any]:
    """Return a layer as it was given: `box_data` and `class_labels` by number."""
    layer = read_json(file)
    layer["class_labels"] = _labels(file, layer.get("class_labels"))
    return layer


# --- masks ---


class Mask(NamedTuple):
    """Class ids by pixel as a grey PNG, and what the ids mean."""

    file: MediaFile
    labels: MediaFile | None

    def write(self, target: MediaTarget) -> dict[str, Any]:
        stub = {"_type": "mask", **self.file.write(target, MASK_FOLDER)}
        if self.labels is not None:
            stub["classes"] = self.labels.write(target, CLASS_FOLDER)
        return stub

    @classmethod
    def read(cls, stub: dict[str, Any], source: MediaSource) -> Mask:
        classes = stub.get("classes")
        return cls(stored(stub, source), stored(classes, source) if classes else None)

    def as_dict(self) -> dict[str, Any]:
        """Return the layer as it was given: `mask_data` (H×W uint8) and `class_labels`."""
        labels = read_labels(self.labels) if self.labels is not None else {}
        return {"mask_data": pixels.to_numpy(self.file), "class_labels": labels}

    def same_as(self, other: Mask) -> bool:
        if (self.labels is None) != (other.labels is None):
            return False
        same_labels = self.labels is None or self.labels.sha256 == other.labels.sha256  # type: ignore[union-attr]  # both or none
        return same_labels and pixels.same(self.file, other.file)


def mask(layer: Any, where: str, labels: ClassLabels) -> Mask:
    """Check one mask layer: `mask_data` (H×W class ids 0–255) or `path` of an image of them.

    Of an image with colours the first channel counts. A mask may be smaller or larger than the
    image, as the output of a network often is. Raises Invalid.
    """
    if not isinstance(layer, Mapping) or ("mask_data" in layer) == ("path" in layer):
        raise Invalid(f"{where} must be a dict with either `mask_data` or `path`")
    if "path" in layer:
        ids = pixels.to_numpy(pixels.from_path(layer["path"]).file)
        ids = ids[..., 0] if ids.ndim == 3 else ids
    else:
        ids = arrays.as_numpy(layer["mask_data"], where)
    if ids.dtype.kind == "f" and (ids == ids.round()).all():  # a threshold's 0.0 and 1.0
        ids = ids.astype(int)
    if ids.ndim != 2 or ids.dtype.kind not in "biu":
        raise Invalid(f"{where} must hold H×W whole numbers, not {ids.dtype} of shape {ids.shape}")
    if ids.size and (ids.min() < 0 or ids.max() > 255):
        raise Invalid(f"{where} has class ids outside 0 to 255")
    labels = class_labels(layer.get("class_labels")) or labels
    file = pixels.png_of_ids(ids)
    return Mask(file, labels_file(labels) if labels else None)
