from __future__ import annotations

import os

import lineal


def test_a_disabled_run_takes_everything_and_leaves_nothing(tmp_path, home):
    run = lineal.init(mode="disabled", project="p", config={"lr": 0.1}, tags=["x"])
    assert (run.project, run.step, run.url, run.disabled) == ("dummy", 0, None, True)
    assert lineal.run is run
    lineal.log({"loss": 1.0, "image": lineal.Table(columns=["a"])})
    assert run.summary["loss"] == 1.0
    run.config.lr = 0.2
    run.name = "new"
    assert run.name == "new"
    artifact = lineal.Artifact("a", "dataset")
    assert run.log_artifact(artifact).wait().version == "v0"
    assert run.define_metric("loss", summary="min").name == "loss"
    run.save("*")
    run.alert("x")
    run.log_code()
    run.finish()
    assert lineal.run is None
    assert not home.exists()
    assert os.listdir(".") == []


def test_reading_artifacts_gives_empty_ones():
    with lineal.init(mode="disabled") as run:
        used = run.use_artifact("data:latest", type="dataset")
        assert (used.name, used.type) == ("data:latest", "dataset")
        assert os.listdir(used.download()) == []
        assert os.listdir(run.use_model("m")) == []
        assert run.link_artifact(used, "x").aliases == []
        assert used.anything_at_all(1, b=2) is None


def test_old_spellings_of_modes(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert lineal.init().offline
