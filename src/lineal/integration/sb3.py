"""Stable-Baselines3: `model.learn(…, callback=WandbCallback())`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, TensorBoardOutputFormat

import lineal
from lineal.client.capture import tensorboard
from lineal.errors import Invalid
from lineal.integration.running import active_run


class WandbCallback(BaseCallback):
    """Log what Stable-Baselines3 reports, such as `rollout/ep_rew_mean`, at its `global_step`.

    The hyperparameters are in the config, as far as they are numbers and texts.
    """

    def __init__(
        self,
        verbose: int = 0,
        model_save_path: str | None = None,
        model_save_freq: int = 0,
        gradient_save_freq: int = 0,
        log: Literal["gradients", "parameters", "all"] | None = "all",
    ) -> None:
        """Raise UsageError if there is no run, Invalid for a frequency without a path.

        model_save_path, model_save_freq: at every so many calls, and at the end, save `model.zip`
        in this folder and log it as artifact `model-RUN`, of type `model`.
        gradient_save_freq, log: watch the policy at every so many steps.
        """
        super().__init__(verbose)
        if model_save_freq > 0 and model_save_path is None:
            raise Invalid("WandbCallback(model_save_freq=…) needs model_save_path, too")
        self._run = active_run(type(self).__name__)
        self._folder = model_save_path
        self._save_freq = model_save_freq
        self._watch_freq = gradient_save_freq
        self._watched = log

    def _init_callback(self) -> None:
        simple = {
            name: value
            for name, value in vars(self.model).items()
            if isinstance(value, bool | int | float | str)
        }
        self._run.config.setdefaults({"algo": type(self.model).__name__, **simple})
        if self._watch_freq > 0:
            self._run.watch(self.model.policy, log=self._watched, log_freq=self._watch_freq)

    def _on_training_start(self) -> None:
        writers = self.logger.output_formats
        writers[:] = [each for each in writers if not isinstance(each, _Writer)]  # of a call before
        has_tensorboard = any(isinstance(each, TensorBoardOutputFormat) for each in writers)
        if not (has_tensorboard and tensorboard.is_recording()):  # which would log it as well
            writers.append(_Writer(self._run))

    def _on_step(self) -> bool:
        if self._save_freq > 0 and self.n_calls % self._save_freq == 0:
            self._save_model()
        return True

    def _on_training_end(self) -> None:
        self._save_model()

    def _save_model(self) -> None:
        if self._folder is None:
            return
        os.makedirs(self._folder, exist_ok=True)
        path = os.path.join(self._folder, "model.zip")
        self.model.save(path)
        artifact = lineal.Artifact(f"model-{self._run.id}", type="model")
        artifact.add_file(path)
        self._run.log_artifact(artifact, aliases=[f"step_{self.num_timesteps}"])


class _Writer(KVWriter):
    """What Stable-Baselines3 reports becomes a row of the history."""

    def __init__(self, run: lineal.Run) -> None:
        self._run = run

    def write(
        self, key_values: Mapping[str, Any], key_excluded: Mapping[str, Any], step: int = 0
    ) -> None:
        numbers = {
            key: value
            for key, value in key_values.items()
            if isinstance(value, Real) and "tensorboard" not in (key_excluded[key] or ())
        }
        self._run.log({**numbers, "global_step": step})

    def close(self) -> None:
        """Do nothing: the run goes on."""
