"""Boxes and masks as objects of their own, for images and for artifacts (DAT-1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lineal.client.media import layers
from lineal.client.media.files import stored
from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.errors import IntegrityError, Invalid

if TYPE_CHECKING:
    from typing import Self


class Layer(DataObject):
    """What `Image(boxes=…)` or `Image(masks=…)` takes for one of its layers."""

    key: str
    """The name of the layer; empty for one that was read."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}>".replace(" >", ">")

    @property
    def layer(self) -> dict[str, Any]:
        """The layer as an image has it."""
        raise NotImplementedError

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        raise Invalid(f"`{key}` is a layer of an image: log the `Image` that it belongs to")


class BoundingBoxes2D(Layer):
    """A layer of boxes; val: see `layers.boxes_file`, key: its name. Raises Invalid."""

    type_name: ClassVar[str] = "boxes2D"

    def __init__(self, val: Mapping[str, Any], key: str) -> None:
        self.key = str(key)
        self._file = layers.boxes_file(val, f"Boxes `{key}`", {})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundingBoxes2D):
            return NotImplemented
        return self._file.same_as(other._file)

    __hash__ = None  # type: ignore[assignment]  # as all data objects

    @property
    def layer(self) -> dict[str, Any]:
        return layers.read_boxes(self._file)

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Store the boxes beside the JSON object, as those of an image are."""
        return {"_type": self.type_name, **self._file.write(target, layers.BOX_FOLDER)}

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild the layer; raises IntegrityError for foreign JSON."""
        found = cls.__new__(cls)
        try:
            found.key, found._file = "", stored(json_obj, source)
        except (KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(f"These are no boxes that Lineal can read: {error!r}") from error
        return found


class ImageMask(Layer):
    """A layer of class ids by pixel; val: see `layers.mask`, key: its name. Raises Invalid."""

    type_name: ClassVar[str] = "mask"

    def __init__(self, val: Mapping[str, Any], key: str) -> None:
        self.key = str(key)
        self._mask = layers.mask(val, f"Mask `{key}`", {})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageMask):
            return NotImplemented
        return self._mask.same_as(other._mask)

    __hash__ = None  # type: ignore[assignment]  # as all data objects

    @property
    def layer(self) -> dict[str, Any]:
        return self._mask.as_dict()

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Store the ids and their labels beside the JSON object, as those of an image are."""
        return self._mask.write(target)

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild the layer; raises IntegrityError for foreign JSON."""
        found = cls.__new__(cls)
        try:
            found.key, found._mask = "", layers.Mask.read(json_obj, source)
        except (KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(f"This is no mask that Lineal can read: {error!r}") from error
        return found
