"""What scripts written for W&B take from `wandb.util`: an id for a run that they will resume."""

from __future__ import annotations

from lineal.core.ids import new_id as generate_id

__all__ = ["generate_id"]
