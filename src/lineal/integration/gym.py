"""Gymnasium: `monitor()` is what `init(monitor_gym=True)` does."""

from __future__ import annotations

from lineal.client.capture import gym
from lineal.errors import Invalid


def monitor() -> None:
    """Log to the active run, as `videos`, each video that `RecordVideo` makes from now on.

    Raises Invalid without Gymnasium 1.0.
    """
    if not gym.record():
        raise Invalid("There is no Gymnasium 1.0 to record: run `pip install gymnasium`")
