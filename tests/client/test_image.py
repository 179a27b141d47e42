"""Images: files, captions, boxes and masks, stored once per content (DAT-7)."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from media_folder import Folder, round_trip

import lineal
from lineal.client import media
from lineal.client.media.classes import Classes
from lineal.client.media.image import Image
from lineal.client.media.layer import BoundingBoxes2D, ImageMask
from lineal.errors import IntegrityError, Invalid, MissingFile

BOXES = {
    "predictions": {
        "box_data": [
            {
                "position": {
                    "minX": np.array(0.1),
                    "maxX": 0.5,
                    "minY": 0,
                    "maxY": np.float32(0.5),
                },
                "class_id": 1,
                "box_caption": "a cat",
                "scores": {"iou": 0.75},
            },
            {
                "position": {"middle": [2, 2], "width": 2, "height": 1},
                "domain": "pixel",
                "class_id": np.int64(0),
            },
        ],
        "class_labels": {0: "dog", 1: "cat"},
    }
}
MASKS = {"truth": {"mask_data": np.eye(4, dtype=int), "class_labels": {0: "ground", 1: "cat"}}}


def picture(path: Path, *, value: int = 5) -> Path:
    PIL.Image.new("RGB", (3, 2), (value, 0, 0)).save(path)
    return path


def test_grouping_is_kept_as_a_plain_number(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 2)), grouping=np.int64(3))
    assert round_trip(image, tmp_path / "3").grouping == 3
    assert round_trip(Image(image, grouping=np.int64(4)), tmp_path / "4").grouping == 4


def test_layers_may_be_objects_of_their_own(tmp_path: Path) -> None:
    boxes = BoundingBoxes2D(BOXES["predictions"], "predictions")
    mask = ImageMask(MASKS["truth"], "truth")
    image = Image(np.zeros((4, 4)), boxes={"predictions": boxes}, masks={"truth": mask})
    assert image == Image(np.zeros((4, 4)), boxes=BOXES, masks=MASKS)
    found = round_trip(boxes, tmp_path / "boxes"), round_trip(mask, tmp_path / "mask")
    assert found == (boxes, mask)
    assert found[0].layer["class_labels"] == {0: "dog", 1: "cat"}
    assert found[1].layer["mask_data"].tolist() == np.eye(4).tolist()


def test_an_artifact_takes_layers_and_finds_them_by_their_names() -> None:
    mask = ImageMask(MASKS["truth"], "truth")
    artifact = lineal.Artifact("data", "dataset")
    assert artifact.add(mask, "m").path == "m.mask.json"
    assert artifact.add(BoundingBoxes2D(BOXES["predictions"], "p"), "b").path == "b.boxes2D.json"
    artifact.add(Image(np.zeros((4, 4)), boxes=BOXES), "image")
    with lineal.init() as run:
        found = run.log_artifact(artifact).wait()
        with pytest.raises(Invalid, match="`m` is a layer of an image"):
            run.log({"m": mask})
    assert (found["m"], len(found["b"].layer["box_data"])) == (mask, 2)
    (beside, *_) = [path for path in found.manifest.entries if path.startswith("media/metadata")]
    assert found.get(beside) is None


@pytest.mark.parametrize("kind", [BoundingBoxes2D, ImageMask])
def test_a_wrong_layer_is_named(kind: type) -> None:
    with pytest.raises(Invalid, match=r"(Boxes|Mask) `p` must be a dict with"):
        kind({}, "p")
    with pytest.raises(IntegrityError, match="Lineal can read"):
        kind.read({"_type": "mask"}, None)


def test_labels_may_hold_what_is_no_valid_unicode(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 2)), classes={0: "caf\udce9"})
    assert round_trip(image, tmp_path).classes == {0: "caf\udce9"}


# --- paths ---


def test_file_keeps_its_bytes(tmp_path: Path) -> None:
    source = picture(tmp_path / "Cat.JPG")
    image = Image(str(source), caption="cat")
    folder = Folder(tmp_path / "artifact")
    stub = image.write(folder)
    assert stub["path"].endswith(".jpg")
    assert (folder.root / stub["path"]).read_bytes() == source.read_bytes()
    assert (stub["width"], stub["height"], stub["format"]) == (3, 2, "jpg")
    assert stub["size"] == source.stat().st_size


def test_file_is_read_when_it_is_added(tmp_path: Path) -> None:
    source = picture(tmp_path / "plot.png", value=1)
    image = Image(source)
    folder = Folder(tmp_path / "artifact")
    first = image.write(folder)
    picture(source, value=2)
    second = image.write(folder)
    assert first["path"] != second["path"]
    assert folder.entries.keys() == {first["path"], second["path"]}


def test_mode_converts_a_file(tmp_path: Path) -> None:
    assert Image(picture(tmp_path / "a.png"), mode="L").image.mode == "L"
    assert Image(picture(tmp_path / "a.bmp"), file_type="png").format == "png"


def test_missing_file_and_file_without_picture_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="No image file at"):
        Image(str(tmp_path / "absent.png"))
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(Invalid, match="not an image that Pillow can read"):
        Image(text)


def test_file_that_was_written_anew_is_what_it_is_when_it_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image(np.zeros((2, 3))).image.save(path)
    images = [Image(path) for _ in range(3)]
    Image(np.zeros((4, 5))).image.save(path)
    assert images[0] == Image(path)
    stored = images[1].write(Folder(tmp_path / "artifact"))
    logged = media.log_value(images[2], RunOfTest(), "k", 0)
    assert isinstance(logged, dict)
    for stub in (stored, logged):
        assert (stub["width"], stub["height"]) == (5, 4)
    assert (images[1].width, images[1].height) == (5, 4)


def test_file_that_vanished_is_named(tmp_path: Path) -> None:
    image = Image(picture(tmp_path / "a.png"))
    (tmp_path / "a.png").unlink()
    with pytest.raises(MissingFile, match=r"a\.png is gone"):
        image.write(Folder(tmp_path / "artifact"))


# --- layers ---


def test_boxes_and_masks_come_back(tmp_path: Path) -> None:
    image = Image(np.zeros((4, 4)), caption="c", grouping=2, boxes=BOXES, masks=MASKS)
    read = round_trip(image, tmp_path)
    assert read == image
    assert (read.caption, read.grouping) == ("c", 2)
    layer = read.boxes["predictions"]
    assert layer["class_labels"] == {0: "dog", 1: "cat"}
    assert layer["box_data"][0]["position"] == {"minX": 0.1, "maxX": 0.5, "minY": 0, "maxY": 0.5}
    assert layer["box_data"][1]["domain"] == "pixel"
    assert layer["box_data"][1]["class_id"] == 0
    assert read.masks["truth"]["mask_data"].tolist() == np.eye(4).tolist()
    assert read.masks["truth"]["class_labels"] == {0: "ground", 1: "cat"}


def test_classes_serve_layers_that_bring_none(tmp_path: Path) -> None:
    image = Image(
        np.zeros((4, 4)),
        classes=[{"id": 0, "name": "ground"}, {"id": 1, "name": "cat"}],
        masks={"m": {"mask_data": np.eye(4, dtype=bool)}},
    )
    read = round_trip(image, tmp_path)
    assert read.classes == {0: "ground", 1: "cat"}
    assert read.masks["m"]["class_labels"] == {0: "ground", 1: "cat"}


def test_classes_are_shared_by_images_and_added_by_themselves(tmp_path: Path) -> None:
    classes = Classes([{"id": 1, "name": "cat"}, {"id": 0, "name": "ground"}])
    masks = {"m": {"mask_data": np.eye(4, dtype=bool)}}
    image = Image(np.zeros((4, 4)), classes=classes, masks=masks)
    assert image.classes == {0: "ground", 1: "cat"}
    assert image.masks["m"]["class_labels"] == classes.labels
    read = round_trip(classes, tmp_path)
    assert read == classes
    assert read != Classes({0: "ground"})
    assert Image(image, classes=read).classes == image.classes


@pytest.mark.parametrize("wrong", [["cat"], [{"id": 0}], {"x": "cat"}, np.array([1, 2])])
def test_what_are_no_classes_is_refused(wrong: Any) -> None:
    with pytest.raises(Invalid, match=r"^Classes are|^A class id"):
        Classes(wrong)
    with pytest.raises(IntegrityError, match="no classes that Lineal can read"):
        media.read({"_type": "classes", "class_set": wrong}, Folder(Path()), "c.classes.json")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ({}, "needs a `position`"),
        ({"position": {"minX": 0}}, "needs a `position`"),
        ({"position": {"minX": "a", "maxX": 1, "minY": 0, "maxY": 1}}, "'a' is not a number"),
        (
            {"position": {"middle": [0, 0], "width": 1, "height": 1}, "domain": "inch"},
            "domain 'inch' is unknown",
        ),
        (
            {"position": {"middle": [0, 0], "width": 1, "height": 1}, "scores": {"iou": None}},
            "None is not a number",
        ),
        (
            {"position": {"middle": [0, 0], "width": 1, "height": 1}, "scores": [0.5]},
            "`scores` must be a dict of numbers by name, not [0.5]",
        ),
        (
            {"position": {"middle": [0, 0], "width": 1, "height": 1}, "class_id": float("inf")},
            "cannot convert float infinity",
        ),
    ],
)
def test_wrong_box_is_named(box: dict[str, Any], message: str) -> None:
    layer = {"box_data": [BOXES["predictions"]["box_data"][0], box], "class_labels": {1: "cat"}}
    with pytest.raises(Invalid, match=r"Boxes `p`, box 1") as raised:
        Image(np.zeros((2, 2)), boxes={"p": layer})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({}, "either `mask_data` or `path`"),
        ({"mask_data": np.full((2, 2), 0.5)}, "whole numbers"),
        ({"mask_data": np.full((2, 2), np.nan)}, "whole numbers"),
        ({"mask_data": np.zeros((2, 2, 3), int)}, "whole numbers"),
        ({"mask_data": np.full((2, 2), 256)}, "outside 0 to 255"),
    ],
)
def test_wrong_mask_is_named(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=rf"Mask `m`.* {message}"):
        Image(np.zeros((2, 2)), masks={"m": layer})


def test_what_a_network_says_of_classes_and_sizes_is_kept_as_it_is(tmp_path: Path) -> None:
    position = {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1, "width": 1, "note": "far"}
    box = {"position": position, "class_id": 7}
    threshold = np.array([[0.0, 1.0]])
    image = Image(
        np.zeros((4, 4)),
        boxes={"p": {"box_data": [box], "class_labels": {1: "cat"}}},
        masks={"m": {"mask_data": threshold, "class_labels": {0: "ground"}}},
    )
    read = round_trip(image, tmp_path)
    assert read.boxes["p"]["box_data"] == [
        {"position": {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}, "class_id": 7}
    ]
    assert read.masks["m"]["mask_data"].tolist() == [[0, 1]]


def test_mask_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    PIL.Image.fromarray(np.full((2, 2), 3, dtype="uint8")).save(path)
    image = Image(np.zeros((2, 2)), masks={"m": {"path": str(path)}})
    assert image.masks["m"]["mask_data"].tolist() == [[3, 3], [3, 3]]


# --- equality and storage ---


def test_images_are_equal_by_pixels_not_by_encoding(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.bmp")
    assert Image(path) == Image(PIL.Image.open(path))


@pytest.mark.parametrize(
    "other",
    [
        Image(np.ones((4, 4))),
        Image(np.zeros((4, 5))),
        Image(np.zeros((4, 4, 3))),
        Image(np.zeros((4, 4)), caption="c"),
        Image(np.zeros((4, 4)), boxes=BOXES),
        Image(np.zeros((4, 4)), masks=MASKS),
        Image(np.zeros((4, 4)), classes={0: "a"}),
    ],
)
def test_images_differ_by_pixels_caption_and_layers(other: Image) -> None:
    assert Image(np.zeros((4, 4))) != other


def test_of_a_mask_in_colours_the_first_channel_counts(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    PIL.Image.new("RGBA", (2, 1), (3, 0, 9, 255)).save(path)
    image = Image(np.zeros((2, 2)), masks={"m": {"path": path}})
    assert image.masks["m"]["mask_data"].tolist() == [[3, 3]]


def test_masks_differ_by_labels() -> None:
    def made(name: str) -> Image:
        layer = {"mask_data": np.eye(2, dtype=int), "class_labels": {1: name}}
        return Image(np.zeros((2, 2)), masks={"m": layer})

    assert made("cat") == made("cat")
    assert made("cat") != made("dog")


def test_copy_keeps_what_is_not_replaced() -> None:
    image = Image(np.zeros((4, 4)), caption="c", boxes=BOXES)
    assert Image(image) == image
    assert Image(image, caption="d").caption == "d"
    assert Image(image, mode="RGB").boxes == image.boxes


def test_same_content_is_stored_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    stubs = [Image(np.zeros((4, 4)), caption=str(i), masks=MASKS).write(folder) for i in range(3)]
    assert len({stub["path"] for stub in stubs}) == 1
    assert len(folder.entries) == 3  # pixels, mask, labels


def test_pixels_are_fetched_when_they_are_looked_at(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    path = folder.add(Image(np.zeros((4, 4)), boxes=BOXES, masks=MASKS), "x")
    read = folder.get(path)
    assert (read.width, read.height) == (4, 4)
    assert folder.fetched == [path]
    read.to_numpy()
    assert len(folder.fetched) == 2


def test_image_of_another_artifact_becomes_a_reference(tmp_path: Path) -> None:
    first = Folder(tmp_path / "first", name="first")
    image = first.get(first.add(Image(np.zeros((4, 4)), masks=MASKS), "x"))
    second = Folder(tmp_path / "second", name="second")
    first.fetched.clear()
    stub = image.write(second)
    assert first.fetched == []
    assert {entry.ref is None for entry in second.entries.values()} == {False}
    assert Image.read(stub, second) == image


def test_object_read_as_a_whole_knows_where_it_was(tmp_path: Path) -> None:
    first = Folder(tmp_path / "first", name="first")
    image = first.get(first.add(Image(np.zeros((4, 4))), "x"))
    second = Folder(tmp_path / "second", name="second")
    assert second.reference_to(image) == "folder://first/x.image-file.json"


@pytest.mark.parametrize("what", ["boxes", "masks"])
def test_layers_without_names_are_refused(what: str) -> None:
    with pytest.raises(Invalid, match=f"{what} must be a dict of layers by name"):
        Image(np.zeros((2, 2)), **{what: [1]})


@pytest.mark.parametrize("stub", [{}, {"path": "a", "width": "1"}, {"path": "a", "height": {}}])
def test_foreign_json_is_refused(stub: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="not an image"):
        media.read({"_type": "image-file", **stub}, Folder(tmp_path), "x")


@pytest.mark.parametrize("text", ["[]", "{", '{"class_set": [5], "class_labels": [5]}'])
def test_layers_that_are_none_are_refused_when_they_are_looked_at(
    text: str, tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    folder.add_bytes(text.encode(), "layer.json")
    layer = {"path": "layer.json"}
    stub = {"path": "a.png", "format": 5, "caption": 5, "classes": layer, "boxes": {"b": layer}}
    image = media.read({"_type": "image-file", **stub}, folder, "x")
    assert isinstance(image, Image)
    assert (image.format, image.caption) == ("5", "5")
    for look in (lambda: image.boxes, lambda: image.classes):
        with pytest.raises(IntegrityError, match=r"layer\.json of the artifact"):
            look()


# --- logged with a run ---


class RunOfTest:
    """What a picture needs of a run."""

    def __init__(self) -> None:
        self.saved: dict[str, bytes] = {}

    def _save_medium(self, name: str, data: bytes) -> None:
        self.saved[name] = data


def test_logged_image_is_a_file_of_the_run() -> None:
    run = RunOfTest()
    image = Image(np.zeros((4, 4)), caption="c", boxes=BOXES)
    value = media.log_value(image, run, "val/../a b", 3)
    assert value is not None
    assert value["path"] == f"media/images/val/a_b_3_{value['sha256'][:20]}.png"
    assert (value["_type"], value["caption"], value["width"]) == ("image-file", "c", 4)
    assert len(run.saved[value["path"]]) == value["size"]
    assert run.saved.keys() == {value["path"], value["boxes"]["predictions"]["path"]}
    json.dumps(value)


def test_logged_list_of_images_is_one_value() -> None:
    run = RunOfTest()
    images = [Image(np.full((2, 2), i, "uint8"), caption=str(i)) for i in range(2)]
    value = media.log_value(images, run, "k", 0)
    assert value is not None
    assert (value["_type"], value["count"], value["captions"]) == (
        "images/separated",
        2,
        ["0", "1"],
    )
    assert list(run.saved) == value["filenames"]
    with pytest.raises(Invalid, match="`int` at 1"):
        media.log_value([images[0], 7], run, "k", 0)


@pytest.mark.parametrize("value", [1, "x", [1, 2], [], {"a": 1}, SimpleNamespace()])
def test_other_values_are_left_to_the_run(value: Any) -> None:
    assert media.log_value(value, None, "k", 0) is None
