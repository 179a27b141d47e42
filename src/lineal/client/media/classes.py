"""What the class ids in the boxes and masks of images mean (DAT-7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.errors import IntegrityError, Invalid

if TYPE_CHECKING:
    from typing import Self

ClassLabels = Mapping[int, str]


class Classes(DataObject):
    """Names of classes by their ids, for the `classes` of any number of images.

    class_set: W&B's list of `{"id": 0, "name": "cat"}`, or `{0: "cat"}`. Raises Invalid.
    """

    type_name: ClassVar[str] = "classes"

    labels: dict[int, str]

    def __init__(self, class_set: Any) -> None:
        self.labels = class_labels(class_set)

    def __repr__(self) -> str:
        return f"<Classes {self.labels!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Classes):
            return NotImplemented
        return self.labels == other.labels

    __hash__ = None  # type: ignore[assignment]  # its dict may be changed

    def write(self, target: MediaTarget | None = None) -> dict[str, Any]:
        """Return the JSON object; there are no side files."""
        return classes_json(self.labels)

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:  # noqa: ARG003 - it has no files
        """Rebuild the classes; raises IntegrityError for JSON that is none."""
        try:
            return cls(json_obj["class_set"])
        except (KeyError, Invalid) as error:
            raise IntegrityError(f"These are no classes that Lineal can read: {error}") from error

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        return self.write()


def class_labels(classes: Any) -> dict[int, str]:
    """Read Classes, `{0: "cat"}`, or a list of `{"id": 0, "name": "cat"}`; raises Invalid."""
    if classes is None:
        return {}
    if isinstance(classes, Classes):
        return dict(classes.labels)
    if isinstance(classes, Mapping):
        pairs: Iterable[tuple[Any, Any]] = classes.items()
    else:
        try:
            pairs = [(one["id"], one["name"]) for one in classes]
        except (IndexError, KeyError, TypeError) as error:  # numbers of NumPy have an index
            raise Invalid(
                'Classes are a dict {0: "cat"} or a list of {"id": 0, "name": "cat"}, '
                f"not {classes!r:.80}"
            ) from error
    try:
        return {int(key): str(name) for key, name in pairs}
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"A class id must be a whole number: {error}") from error


def classes_json(labels: ClassLabels) -> dict[str, Any]:
    """Return the JSON of a `.classes.json` file, the classes by their ids."""
    class_set = [{"id": key, "name": labels[key]} for key in sorted(labels)]
    return {"_type": Classes.type_name, "class_set": class_set}
