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


@needs("xgboost")
def test_xgboost_logs_its_rounds_and_its_model(start: Start) -> None:
    start("-c", example("xgboost"))
    [run] = lineal.Api().runs("trees")
    rows = list(run.scan_history(keys=["epoch", "train-logloss", "train-auc"]))
    assert [row["epoch"] for row in rows] == list(range(10))
    assert run.summary["train-auc"]["max"] == max(row["train-auc"] for row in rows)
    assert run.summary["train-logloss"]["min"] == rows[-1]["train-logloss"]
    assert run.config["learner"]["objective"]["name"] == "binary:logistic"
    models = [each for each in run.logged_artifacts() if each.type == "model"]
    assert [each.name for each in models] == [f"{run.id}_model.json:v0"]
    assert "Feature Importance" in run.summary


@needs("xgboost")
def test_xgboost_logs_what_is_cross_validated(start: Start) -> None:
    start("-c", example("xgboost").replace("train(", "cv(").replace('evals=[(data, "train")],', ""))
    [run] = lineal.Api().runs("trees")
    [*_, last] = run.scan_history(keys=["epoch", "test-auc-mean", "test-auc-std"])
    assert run.summary["test-auc-mean"]["max"] >= last["test-auc-mean"] > 0.5


LINEAR = """
import numpy as np, xgboost, lineal as wandb
from lineal.integration.xgboost import WandbCallback
random = np.random.default_rng(0)
data = xgboost.DMatrix(random.random((60, 2)), random.integers(0, 3, 60))
parameters = {"booster": "gblinear", "objective": "multi:softprob", "num_class": 3}
with wandb.init(project="lines"):
    xgboost.train(parameters, data, 3, callbacks=[WandbCallback()])
"""


@needs("xgboost")
def test_xgboost_logs_the_weights_of_a_linear_model_for_each_class(start: Start) -> None:
    start("-c", LINEAR)
    [run] = lineal.Api().runs("lines")
    [logged] = run.logged_artifacts()
    table = logged.get("Feature_Importance")
    features = [row[0] for row in table.data]
    assert features == [f"f{feature} of class {of}" for feature in range(2) for of in range(3)]


@needs("lightgbm")
def test_lightgbm_logs_its_rounds_and_its_model(start: Start, tmp_path: Path) -> None:
    start("-c", example("lightgbm"))
    [run] = lineal.Api().runs("leaves")
    rows = list(run.scan_history(keys=["iteration", "train_auc", "train_binary_logloss"]))
    assert [row["iteration"] for row in rows] == list(range(10))
    assert run.summary["train_auc"]["max"] == max(row["train_auc"] for row in rows)
    assert run.summary["train_binary_logloss"]["min"] == rows[-1]["train_binary_logloss"]
    assert (run.config["objective"], run.config["num_iterations"]) == ("binary", 10)
    assert "Feature Importance" in run.summary
    [model] = [each for each in run.logged_artifacts() if each.type == "model"]
    assert (model.name, model.aliases) == (f"model_{run.id}:v0", ["best", "latest"])
    assert Path(model.file(tmp_path)).read_text().startswith("tree")


@needs("catboost")
def test_catboost_logs_its_rounds_and_its_model(start: Start, tmp_path: Path) -> None:
    start("-c", example("catboost"))
    [run] = lineal.Api().runs("cats")
    step = "iteration@metric-period-1"
    rows = list(run.scan_history(keys=[step, "learn-Logloss", "validation-Logloss"]))
    assert [row[step] for row in rows] == list(range(1, 11))
    assert run.summary["best_iteration"] == 9
    assert run.summary["best_score"]["validation"]["Logloss"] == rows[-1]["validation-Logloss"]
    assert run.config["iterations"] == 10
    assert "Feature Importance" in run.summary
    [model] = [each for each in run.logged_artifacts() if each.type == "model"]
    assert (model.name, model.aliases) == (f"model_{run.id}:v0", ["best", "latest"])
    assert Path(model.file(tmp_path)).stat().st_size > 0


@needs("keras")
def test_keras_logs_its_epochs_and_the_best_models(start: Start) -> None:
    start("-c", example("keras"), KERAS_BACKEND="jax")
    [run] = lineal.Api().runs("layers")
    rows = list(run.scan_history(keys=["epoch/epoch", "epoch/loss", "epoch/learning_rate"]))
    assert [row["epoch/epoch"] for row in rows] == [0, 1, 2]
    best, expected = float("inf"), []
    for row in rows:
        if row["epoch/loss"] < best:
            best = row["epoch/loss"]
            expected.append([f"epoch_{row['epoch/epoch']}"])
    models = run.logged_artifacts()
    assert [[each for each in model.aliases if each != "latest"] for model in models] == expected
    assert all(model.name.startswith(f"run_{run.id}_model:") for model in models)


@needs("stable_baselines3", "gymnasium")
def test_stable_baselines_logs_its_reports_and_its_model(start: Start, tmp_path: Path) -> None:
    start("-c", example("stable_baselines3"), CUDA_VISIBLE_DEVICES="")
    [run] = lineal.Api().runs("cart-pole")
    steps = [row["global_step"] for row in run.scan_history(keys=["global_step", "train/loss"])]
    assert steps == [128, 192, 256]
    assert (run.config["algo"], run.config["n_steps"]) == ("PPO", 64)
    models = run.logged_artifacts()
    assert [each.aliases for each in models] == [["step_100"], ["step_200"], ["latest", "step_256"]]
    got = Path(models[-1].file(tmp_path))
    assert got.read_bytes() == Path("models/model.zip").read_bytes()


@needs("torch", "tensorboard")
def test_what_pytorch_writes_for_tensorboard_is_logged(start: Start) -> None:
    start("-c", example("torch.utils"), CUDA_VISIBLE_DEVICES="")
    [run] = lineal.Api().runs("board")
    rows = list(run.scan_history(keys=["global_step", "loss", "step"]))
    assert [row["global_step"] for row in rows] == list(range(0, 100, 10))
    assert all(row["step"] == row["global_step"] for row in rows)
