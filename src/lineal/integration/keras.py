"""Keras 3: `model.fit(…, callbacks=[WandbMetricsLogger(), WandbModelCheckpoint("m.keras")])`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from keras import ops
from keras.callbacks import Callback, ModelCheckpoint

import lineal
from lineal.integration.running import active_run


class WandbMetricsLogger(Callback):
    """Log the metrics and the learning rate as a model is fitted.

    log_freq: `"epoch"` for a row with `epoch/…` at the end of each epoch; `"batch"`, or a number,
    for such rows and one with `batch/…` at every so many batches.
    initial_global_step: batches of earlier fits; `batch/batch_step` counts on from there.
    Raises UsageError if there is no run.
    """

    def __init__(
        self, log_freq: Literal["epoch", "batch"] | int = "epoch", initial_global_step: int = 0
    ) -> None:
        super().__init__()
        self._run = active_run(type(self).__name__)
        self._batches = 1 if log_freq == "batch" else log_freq
        self._batch_step = initial_global_step
        kind = "epoch" if self._batches == "epoch" else "batch"
        step = "epoch/epoch" if kind == "epoch" else "batch/batch_step"
        self._run.define_metric(step)
        self._run.define_metric(f"{kind}/*", step_metric=step)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._log("epoch", logs, epoch=epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if isinstance(self._batches, int) and batch % self._batches == 0:
            self._log("batch", logs, batch_step=self._batch_step)
        self._batch_step += 1

    def _log(self, kind: str, logs: Mapping[str, Any] | None, **step: int) -> None:
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        values = {**(logs or {}), **step, "learning_rate": rate}
        self._run.log({f"{kind}/{name}": value for name, value in values.items()})


class WandbModelCheckpoint(ModelCheckpoint):
    """Save checkpoints as Keras's `ModelCheckpoint`, and log each as artifact `run_RUN_model`.

    Takes what that takes. A checkpoint has the alias `epoch_N`, or `epoch_N_batch_M` with a number
    as `save_freq`; one that is not saved, as it is not the best, makes no version.
    Raises UsageError if there is no run.
    """

    def __init__(self, filepath: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(filepath, *args, **kwargs)
        self._run = active_run(type(self).__name__)

    def _save_model(self, epoch: int, batch: int | None, logs: Mapping[str, Any]) -> None:
        path = self._get_file_path(epoch, batch, logs)
        before = _written_at(path)
        super()._save_model(epoch, batch, logs)
        if _written_at(path) == before:
            return
        artifact = lineal.Artifact(f"run_{self._run.id}_model", type="model")
        artifact.add_file(path)
        alias = f"epoch_{epoch}" if batch is None else f"epoch_{epoch}_batch_{batch}"
        self._run.log_artifact(artifact, aliases=[alias])


def _written_at(path: str) -> tuple[int, int] | None:
    """Return what changes when a file is written anew, None if there is none."""
    if not os.path.exists(path):
        return None
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns
