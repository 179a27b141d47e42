"""TensorBoard: `patch()` is what `init(sync_tensorboard=True)` does, for runs of its own choice."""

from __future__ import annotations

from lineal.client.capture import tensorboard
from lineal.errors import Invalid


def patch(
    save: bool = True,
    tensorboard_x: bool | None = None,
    pytorch: bool | None = None,
    root_logdir: str = "",
) -> None:
    """Log to the active run what is written for TensorBoard from now on.

    root_logdir: of several folders, keys begin with the path from here; default the first folder.
    save, tensorboard_x, pytorch: W&B's, without effect; the files stay where they are.
    Raises Invalid where neither tensorboard nor tensorboardX is installed.
    """
    if not tensorboard.record(root_logdir or None):
        raise Invalid("There is no TensorBoard to record: run `pip install tensorboard`")


def unpatch() -> None:
    """Log no more of it."""
    tensorboard.stop()
