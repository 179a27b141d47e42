"""What is logged of boosted trees, whichever library grew them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence

import lineal

IMPORTANCE = "Feature Importance"


def log_importance(run: lineal.Run, importances: Iterable[tuple[str, float]]) -> None:
    """Log a bar for each feature."""
    rows = [[name, float(value)] for name, value in importances]
    table = lineal.Table(["Feature", "Importance"], rows)
    run.log({IMPORTANCE: lineal.plot.bar(table, "Feature", "Importance", title=IMPORTANCE)})


def log_model(
    run: lineal.Run,
    name: str,
    *,
    file_name: str,
    save: Callable[[str], object],
    aliases: Sequence[str] = (),
) -> None:
    """Log the file that `save` writes to the path it is given, as an artifact of type `model`."""
    artifact = lineal.Artifact(name, type="model")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, file_name)
        save(path)
        artifact.add_file(path)
    run.log_artifact(artifact, aliases=list(aliases))
