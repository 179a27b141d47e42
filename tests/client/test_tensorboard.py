"""What is written for TensorBoard, where that is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.client.capture import tensorboard
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
        board.add_text("note", "no number", 11)
        run.log({"mine": 1})
        board.add_scalar("train/loss", 0.25, 20)
    assert rows(run) == [
        {"train/loss": 0.5, "train/acc": 0.0, "global_step": 0},
        {"train/loss": 0.5, "train/acc": 0.5, "global_step": 10, "mine": 1},
        {"train/loss": 0.25, "global_step": 20},
    ]
    assert list((tmp_path / "tb").glob("events.out.tfevents.*"))


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
