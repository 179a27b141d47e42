"""Videos that Gymnasium's `RecordVideo` makes of an agent are logged, too."""

from __future__ import annotations

import functools
import os
from typing import Any

from lineal.client import session

KEY = "videos"


def record() -> bool:
    """Log to the active run each video that is made from now on; False without Gymnasium 1.0.

    A second call changes nothing.
    """
    try:
        from gymnasium.wrappers import RecordVideo  # slow optional dependency
    except ImportError:
        return False
    if not hasattr(RecordVideo, "stop_recording"):  # before 1.0
        return False
    if not hasattr(RecordVideo.stop_recording, "__wrapped__"):
        RecordVideo.stop_recording = _logged(RecordVideo.stop_recording)
    return True


def _logged(stop_recording: Any) -> Any:
    """Return a method that logs the video whose recording it ends."""

    @functools.wraps(stop_recording)
    def stop(self: Any) -> None:
        path = os.path.join(self.video_folder, f"{self._video_name}.mp4")
        stop_recording(self)
        run = session.active_run()
        if run is not None and os.path.exists(path):
            from lineal.client.media.video import Video  # few runs have any

            run.log({KEY: Video(path)})

    return stop
