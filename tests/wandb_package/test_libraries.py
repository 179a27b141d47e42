"""Libraries that import `wandb`, where they are installed: the examples of the guide."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import lineal
from tests.wandb_package.conftest import Start

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "libraries.md"


def example(library: str) -> str:
    """Return the program of the guide that imports the library."""
    found = re.findall(r"^```py\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    [program] = [each for each in found if re.search(rf"^(from|import) {library}", each, re.M)]
    return str(program)


def needs(*libraries: str) -> pytest.MarkDecorator:
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


@needs("torch", "transformers", "accelerate")
def test_a_trainer_of_transformers_keeps_each_checkpoint(start: Start, tmp_path: Path) -> None:
    start(
        *("-m", "lineal", "as-wandb", sys.executable, "-c", example("transformers")),
        WANDB_PROJECT="gpt",
        WANDB_LOG_MODEL="checkpoint",
        CUDA_VISIBLE_DEVICES="",
    )
    [run] = lineal.Api().runs("gpt")
    assert (run.name, run.state) == ("tiny", "finished")
    assert run.summary["train/global_step"] == 20
    versions = {alias: each for each in run.logged_artifacts() for alias in each.aliases}
    assert {"base_model", "final_model", "epoch_5.0", "latest"} <= set(versions)
    version = versions["checkpoint_global_step_10"]
    got = Path(version.download(root=str(tmp_path / "got")))
    saved = Path("out/checkpoint-10")
    names = sorted(file.name for file in saved.iterdir())
    assert sorted(file.name for file in got.iterdir()) == names
    for name in names:
        assert (got / name).read_bytes() == (saved / name).read_bytes()


@needs("torch", "lightning")
def test_lightning_keeps_checkpoints_and_uses_the_best(start: Start, tmp_path: Path) -> None:
    start("-c", example("lightning"), CUDA_VISIBLE_DEVICES="")
    evaluated, trained = lineal.Api().runs("line")
    [used] = evaluated.used_artifacts()
    assert used.name.startswith(f"model-{trained.id}:")
    assert "best" in used.aliases
    assert used.logged_by().id == trained.id
    versions = trained.logged_artifacts()
    assert [each.version for each in versions] == ["v0", "v1", "v2"]
    saved = {file.read_bytes() for file in Path().rglob("*.ckpt")}
    for version in versions[1:]:  # two are kept
        file = Path(version.download(root=str(tmp_path / version.version))) / "model.ckpt"
        assert file.read_bytes() in saved
