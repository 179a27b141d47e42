"""Videos of agents, where Gymnasium is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.errors import Invalid


@pytest.fixture
def gymnasium(monkeypatch: pytest.MonkeyPatch) -> Any:
    for needed in ("moviepy", "pygame"):
        pytest.importorskip(needed)
    found = pytest.importorskip("gymnasium")
    recorder = found.wrappers.RecordVideo
    monkeypatch.setattr(recorder, "stop_recording", recorder.stop_recording)  # put back behind it
    return found


def play(gymnasium: Any, folder: Path, episodes: int = 2) -> None:
    environment = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    recorded = gymnasium.wrappers.RecordVideo(
        environment, str(folder), episode_trigger=lambda number: True
    )
    for _ in range(episodes):
        recorded.reset(seed=0)
        for _ in range(3):
            recorded.step(0)
    recorded.close()


def test_each_video_is_logged(gymnasium: Any, tmp_path: Path) -> None:
    with lineal.init(monitor_gym=True) as run:
        play(gymnasium, tmp_path / "videos")
    read = lineal.Api().run(run.path)
    stubs = [row["videos"] for row in read.scan_history(keys=["videos"])]
    made = sorted((tmp_path / "videos").glob("*.mp4"))
    assert [stub["_type"] for stub in stubs] == ["video-file"] * 2
    for stub, path in zip(stubs, made, strict=True):
        with read.file(stub["path"]).download(str(tmp_path / "got")) as got:
            assert Path(got.name).read_bytes() == path.read_bytes()


def test_nothing_is_logged_without_being_asked_or_without_a_run(
    gymnasium: Any, tmp_path: Path
) -> None:
    with lineal.init() as run:
        play(gymnasium, tmp_path / "a", episodes=1)
    lineal.gym.monitor()
    play(gymnasium, tmp_path / "b", episodes=1)
    assert list(lineal.Api().run(run.path).scan_history()) == []


def test_that_there_is_no_gymnasium_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium.wrappers", None)
    for _ in range(2):
        lineal.init(monitor_gym=True).finish()
    assert capsys.readouterr().err.count("monitor_gym=True records nothing") == 1
    with pytest.raises(Invalid, match="pip install gymnasium"):
        lineal.gym.monitor()
