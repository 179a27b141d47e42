"""What scripts written for W&B take from `wandb.util`.

`generate_id()` makes an id for a run that they will resume, `make_artifact_name_safe(text)` the
name of an artifact out of any text.
"""

from __future__ import annotations

from lineal.core.ids import new_id as generate_id
from lineal.core.names import generated as make_artifact_name_safe

__all__ = ["generate_id", "make_artifact_name_safe"]
