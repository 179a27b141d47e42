"""What is written for TensorBoard, where that is installed."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PIL_Image

import lineal
from lineal.client.capture import tensorboard
from lineal.client.capture.tensorboard_values import values_of
from lineal.errors import Invalid


@pytest.fixture(params=["tensorboard", "tensorboardX"])
def writer(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return what makes a writer for a folder, with `add_scalar`."""
    pytest.importorskip(request.param)
    if request.param == "tensorboard":
        yield pytest.importorskip("torch.utils.tensorboard").SummaryWriter
    else:
        yield pytest.importorskip("tensorboardX").SummaryWriter
    tensorboard.stop()


def rows(run: lineal.Run) -> list[dict[str, Any]]:
    own = ("_step", "_runtime", "_timestamp")
    return [
        {key: value for key, value in row.items() if key not in own}
        for row in lineal.Api().run(run.path).scan_history()
    ]


def test_numbers_of_one_step_are_one_row(writer: Any, tmp_path: Path) -> None:
    with lineal.init(sync_tensorboard=True) as run, writer(str(tmp_path / "tb")) as board:
        for step in (0, 10):
            board.add_scalar("train/loss", 0.5, step)
            board.add_scalar("train/acc", step / 20, step)
        run.log({"mine": 1})
        board.add_scalar("train/loss", 0.25, 20)
    assert rows(run) == [
        {"train/loss": 0.5, "train/acc": 0.0, "global_step": 0},
        {"train/loss": 0.5, "train/acc": 0.5, "global_step": 10, "mine": 1},
        {"train/loss": 0.25, "global_step": 20},
    ]
    assert list((tmp_path / "tb").glob("events.out.tfevents.*"))


def test_pictures_histograms_and_texts_are_logged(writer: Any, tmp_path: Path) -> None:
    picture = np.zeros((3, 4, 5), dtype="uint8")
    picture[0] = 255
    with lineal.init(sync_tensorboard=True) as run, writer(str(tmp_path / "tb")) as board:
        board.add_image("picture", picture, 1)
        board.add_text("note", "all is well", 1)
        board.add_histogram("weights", np.array([0.5, 1.5, 1.5, 2.5]), 1, bins=[0, 1, 2, 3])
        board.add_histogram("many", np.arange(1_000), 1, bins=1_000)
        board.add_hparams({"lr": 0.1}, {})
    [row] = rows(run)
    assert (row["note"], row["global_step"]) == ("all is well", 1)
    assert row["weights"] == {"_type": "histogram", "values": [1, 2, 1], "bins": [0, 1, 2, 2.5]}
    assert row["many"]["values"] == [2] * 500
    assert (row["picture"]["width"], row["picture"]["height"]) == (5, 4)
    with lineal.Api().run(run.path).file(row["picture"]["path"]).download(tmp_path) as file:
        shown = np.asarray(PIL_Image.open(file.name))
    assert shown.tolist() == picture.transpose(1, 2, 0).tolist()


def test_pictures_and_texts_of_the_newer_form_are_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    proto = pytest.importorskip("tensorboardX.proto.summary_pb2")
    png, gif = io.BytesIO(), io.BytesIO()
    PIL_Image.new("RGB", (5, 4)).save(png, "png")
    PIL_Image.new("P", (5, 4)).save(gif, "gif")
    summary = proto.Summary()
    for plugin, parts in (
        ("images", [b"5", b"4", png.getvalue(), gif.getvalue()]),
        ("text", [b"one", b"two"]),
        ("images", [b"5", b"4"]),
        ("unknown", [b"?"]),
    ):
        value = summary.value.add(tag=f"{plugin}{len(parts)}")
        value.metadata.plugin_data.plugin_name = plugin
        value.tensor.string_val.extend(parts)
    summary.value.add(tag="broken").image.encoded_image_string = b"no picture"
    summary.value.add(tag="empty").histo.min = 1
    found = values_of(summary)
    assert {tag: str(value) for tag, value in found.items()} == {
        "images4": "[<Image 5×4 png>, <Video gif>]",
        "text2": "['one', 'two']",
    }
    assert "`broken` of TensorBoard is not logged" in capsys.readouterr().err


def test_keys_tell_folders_apart(writer: Any, tmp_path: Path) -> None:
    with lineal.init(sync_tensorboard=True) as run:
        for folder in ("tb", "tb/val"):
            with writer(str(tmp_path / folder)) as board:
                board.add_scalar("loss", 0.5, 1)
    assert rows(run) == [{"loss": 0.5, "val/loss": 0.5, "global_step": 1}]


def test_a_root_may_be_given_before(writer: Any, tmp_path: Path) -> None:
    lineal.tensorboard.patch(root_logdir=str(tmp_path))
    with lineal.init(sync_tensorboard=True) as run, writer(str(tmp_path / "a")) as board:
        board.add_scalar("loss", 0.5, 1)
    assert rows(run) == [{"a/loss": 0.5, "global_step": 1}]


def test_nothing_is_logged_without_a_run_or_without_being_asked(
    writer: Any, tmp_path: Path
) -> None:
    with writer(str(tmp_path / "tb")) as board:
        lineal.tensorboard.patch()
        board.add_scalar("loss", 0.5, 1)
        lineal.tensorboard.unpatch()
        with lineal.init() as run:
            board.add_scalar("loss", 0.5, 2)
    assert rows(run) == []


def test_each_run_begins_with_a_row_and_a_folder_of_its_own(writer: Any, tmp_path: Path) -> None:
    runs = []
    for folder in ("a", "b"):
        with lineal.init(sync_tensorboard=True) as run:
            for inner in ("", "val"):
                with writer(str(tmp_path / folder / inner)) as board:
                    board.add_scalar("loss", 0.5, 1)
        runs.append(run)
    row = {"loss": 0.5, "val/loss": 0.5, "global_step": 1}
    assert [rows(run) for run in runs] == [[row], [row]]


@pytest.mark.parametrize("how", ["argument", "settings", "environment"])
def test_it_is_a_setting_as_others_are(
    how: str, writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lineal.Settings(sync_tensorboard=True) if how == "settings" else None
    if how == "environment":
        monkeypatch.setenv("WANDB_SYNC_TENSORBOARD", "true")
    is_argument = True if how == "argument" else None
    with (
        lineal.init(tensorboard=is_argument, settings=settings) as run,
        writer(str(tmp_path)) as board,
    ):
        board.add_scalar("loss", 0.5, 1)
    assert rows(run) == [{"loss": 0.5, "global_step": 1}]


@pytest.fixture
def without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tensorboard.WRITERS:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_tensorboard")
def test_that_there_is_no_tensorboard_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        lineal.init(sync_tensorboard=True).finish()
    assert capsys.readouterr().err.count("sync_tensorboard=True records nothing") == 1
    with pytest.raises(Invalid, match="pip install tensorboard"):
        lineal.tensorboard.patch()


def test_tensorboard_is_not_imported_unless_it_is_asked_for() -> None:
    program = "import sys, lineal; lineal.init().finish(); assert 'tensorboard' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
