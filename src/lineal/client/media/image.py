"""Images with caption, boxes and masks (DAT-7)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lineal.client import values
from lineal.client.media import layers, markup, pixels
from lineal.client.media.classes import class_labels
from lineal.client.media.files import HASH_DIGITS, MediaFile, stored
from lineal.client.media.logged import RunFiles, safe_key
from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.errors import IntegrityError

if TYPE_CHECKING:
    from typing import Self

IMAGE_FOLDER = "media/images"


class Image(DataObject):
    """A picture, encoded once; stored once per content however often it is used.

    data_or_path: path of an image file (its bytes are kept as they are), array of H×W or H×W×C
    (float 0–1, -1–1 or 0–255, integer, bool), torch tensor (C×H×W), PIL image, matplotlib figure
    or axes, or another Image.
    mode: of PIL, such as `L` or `RGBA`; default by the data. file_type: `png` by default.
    classes: labels for boxes and masks that bring none: `Classes`, or what makes them.
    boxes, masks: layers by name, see `layers.boxes_file` and `layers.mask`.
    normalize: scale values to 0–255, as `pixels.to_uint8` says, instead of cutting them off.
    An image given by path is read when it is logged: the file as it is then. One given by its URL
    is only for artifacts, which refer to it.
    Raises Invalid, or MissingFile for a path that is not a file.
    """

    type_name: ClassVar[str] = "image-file"
    has_lists: ClassVar[bool] = True

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Any = None,
        boxes: Mapping[str, Mapping[str, Any]] | None = None,
        masks: Mapping[str, Mapping[str, Any]] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        given = data_or_path if isinstance(data_or_path, Image) else None
        self._pixels = _encoded(data_or_path, mode, file_type, normalize)
        self.caption = None if caption is None else str(caption)
        self.grouping = values.plain(grouping, "grouping")
        labels = class_labels(classes)
        self._classes = layers.labels_file(labels) if labels else None
        self._boxes: dict[str, MediaFile] = {
            str(name): layers.boxes_file(layer, f"Boxes `{name}`", labels)
            for name, layer in layers.named(boxes, "boxes").items()
        }
        self._masks: dict[str, layers.Mask] = {
            str(name): layers.mask(layer, f"Mask `{name}`", labels)
            for name, layer in layers.named(masks, "masks").items()
        }
        if given is not None:
            self.caption = given.caption if caption is None else self.caption
            self.grouping = given.grouping if grouping is None else self.grouping
            self._classes = self._classes or given._classes
            self._boxes = self._boxes or given._boxes
            self._masks = self._masks or given._masks

    # --- what is in it ---

    @property
    def width(self) -> int:
        """In pixels, like the height; of an image given by path, when it was made or logged.

        One at a URL is fetched first, which needs an artifact.
        """
        return int(self._pixels.width or self.image.width)

    @property
    def height(self) -> int:
        return int(self._pixels.height or self.image.height)

    @property
    def format(self) -> str:
        return self._pixels.format

    @property
    def image(self) -> Any:
        """The PIL image, decoded now; fetched first if it is in an artifact."""
        return pixels.to_pil(self._pixels.file)

    def to_numpy(self) -> Any:
        """Return H×W or H×W×C, uint8 for what was made from data."""
        return pixels.to_numpy(self._pixels.file)

    @property
    def classes(self) -> dict[int, str]:
        return layers.read_labels(self._classes) if self._classes is not None else {}

    @property
    def boxes(self) -> dict[str, dict[str, Any]]:
        """Layers by name: `box_data` and `class_labels`."""
        return {name: layers.read_boxes(file) for name, file in self._boxes.items()}

    @property
    def masks(self) -> dict[str, dict[str, Any]]:
        """Layers by name: `mask_data` (H×W uint8) and `class_labels`."""
        return {name: mask.as_dict() for name, mask in self._masks.items()}

    def __repr__(self) -> str:
        caption = f" {self.caption!r}" if self.caption else ""
        file, width, height, _ = self._pixels
        size = f"at {file.uri}" if file.uri else f"{width}×{height} {self.format}" if width else ""
        return f"<Image {size or self.format}{caption}>"

    def _repr_html_(self) -> str:
        """Show the picture in a notebook."""
        return markup.picture(self._pixels.file, self.format, self.caption, repr(self))

    def __eq__(self, other: object) -> bool:
        """Compare pixels, caption, grouping, classes, boxes and masks; not the encoding."""
        if not isinstance(other, Image):
            return NotImplemented
        left, right = pixels.as_now(self._pixels), pixels.as_now(other._pixels)
        are_looked_at = left.width is not None and right.width is not None
        return (
            (not are_looked_at or (left.width, left.height) == (right.width, right.height))
            and (self.caption, self.grouping) == (other.caption, other.grouping)
            and self.classes == other.classes
            and {name: file.sha256 for name, file in self._boxes.items()}
            == {name: file.sha256 for name, file in other._boxes.items()}
            and self._masks.keys() == other._masks.keys()
            and all(mask.same_as(other._masks[name]) for name, mask in self._masks.items())
            and pixels.same(left.file, right.file)
        )

    __hash__ = None  # type: ignore[assignment]  # a file on the disk may change

    # --- the file ---

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Store pixels, boxes, masks and classes; what another artifact holds by reference."""
        self._pixels = pixels.as_now(self._pixels)
        return self._stub(self._pixels.file.write(target, IMAGE_FOLDER), target)

    def _stub(self, file: Mapping[str, Any], target: MediaTarget) -> dict[str, Any]:
        """Return the JSON of an image whose pixels are stored; stores its layers."""
        stub: dict[str, Any] = {"_type": self.type_name, **file, "format": self.format}
        if self._pixels.width is not None:
            stub |= {"width": self._pixels.width, "height": self._pixels.height}
        if self.caption is not None:
            stub["caption"] = self.caption
        if self.grouping is not None:
            stub["grouping"] = self.grouping
        if self._classes is not None:
            stub["classes"] = {
                "_type": "classes-file",
                **self._classes.write(target, layers.CLASS_FOLDER),
            }
        if self._boxes:
            stub["boxes"] = {
                name: {"_type": "boxes2D", **file.write(target, layers.BOX_FOLDER)}
                for name, file in self._boxes.items()
            }
        if self._masks:
            stub["masks"] = {name: mask.write(target) for name, mask in self._masks.items()}
        return stub

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild an image without fetching its pixels; raises IntegrityError for foreign JSON."""
        image = cls.__new__(cls)
        try:
            file = stored(json_obj, source)
            size = json_obj.get("width"), json_obj.get("height")
            if not all(isinstance(each, int | None) for each in size):
                raise TypeError(f"its size is {size}")
            format = str(json_obj.get("format") or file.suffix[1:])
            image._pixels = pixels.Pixels(file, *size, format)
            classes = json_obj.get("classes")
            image._classes = stored(classes, source) if classes else None
            image._boxes = {
                name: stored(stub, source) for name, stub in json_obj.get("boxes", {}).items()
            }
            image._masks = {
                name: layers.Mask.read(stub, source)
                for name, stub in json_obj.get("masks", {}).items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(f"This is not an image that Lineal can read: {error!r}") from error
        caption = json_obj.get("caption")
        image.caption = None if caption is None else str(caption)
        image.grouping = json_obj.get("grouping")
        return image

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        """Save the picture as `media/images/<key>_<step>_<hash>` of the run; layers beside it."""
        target = RunFiles(run)
        self._pixels = pixels.as_now(self._pixels)
        file = self._pixels.file
        name = f"{IMAGE_FOLDER}/{safe_key(key)}_{step}_{file.sha256[:HASH_DIGITS]}{file.suffix}"
        return self._stub(target.add(file, name), target)

    @classmethod
    def _log_list(cls, items: Sequence[Self], run: Any, key: str, step: int) -> dict[str, Any]:
        stubs = [image._log(run, f"{key}_{at}", step) for at, image in enumerate(items)]
        return {
            "_type": "images/separated",
            "count": len(stubs),
            "width": stubs[0]["width"],
            "height": stubs[0]["height"],
            "format": stubs[0]["format"],
            "filenames": [stub["path"] for stub in stubs],
            "captions": [stub.get("caption", "") for stub in stubs],
            "images": stubs,
        }


def _encoded(data: Any, mode: str | None, file_type: str | None, normalize: bool) -> pixels.Pixels:
    if isinstance(data, Image):
        if mode is None and file_type is None:
            return data._pixels
        return pixels.encode(data.image, mode=mode, file_type=file_type or data.format)
    if not isinstance(data, str | os.PathLike):
        return pixels.from_data(data, mode=mode, file_type=file_type, normalize=normalize)
    found = pixels.from_path(data)
    if mode is None and file_type in (None, found.format):
        return found
    return pixels.encode(pixels.to_pil(found.file), mode=mode, file_type=file_type or found.format)
