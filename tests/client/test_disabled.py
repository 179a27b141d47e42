from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

import lineal
from lineal.client.public.catalog import Collection
from lineal.errors import Invalid

TAKES = {
    "name": "f",
    "local_path": "f",
    "target_path": "x",
    "alias": "best",
    "new_type": "model",
}
"""Arguments for the methods that need some."""


@pytest.fixture
def used():
    with lineal.init(mode="disabled") as run:
        yield run.use_artifact("data:latest", type="dataset")


def called(method: Any) -> object:
    """Call a method with the arguments that it must have."""
    needed = [
        parameter.name
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty and "VAR" not in parameter.kind.name
    ]
    return method(*(TAKES[name] for name in needed))


def test_a_disabled_run_logs_dicts_only_as_any_other() -> None:
    with pytest.raises(TypeError, match="log takes a dict of values, not a int"):
        lineal.init(mode="disabled").log(5)


def test_a_disabled_run_takes_everything_and_leaves_nothing(tmp_path, home):
    run = lineal.init(mode="disabled", project="p", config={"lr": 0.1}, tags=["x"])
    assert (run.project, run.step, run.url, run.disabled) == ("dummy", 0, None, True)
    assert (run.project_url, run.sweep_url, run.sync_dir) == (None, None, run.dir)
    assert run.display() is False
    assert lineal.run is run
    lineal.log({"loss": 1.0, "image": lineal.Table(columns=["a"])})
    assert run.summary["loss"] == 1.0
    run.summary["picture"] = lineal.Image([[0]])
    run.config.lr = 0.2
    run.name = "new"
    assert run.name == "new"
    artifact = lineal.Artifact("a", "dataset")
    assert run.log_artifact(artifact).wait().version == "v0"
    assert run.define_metric("loss", summary="min").name == "loss"
    run.save("*")
    run.pin_config_keys(["lr"])
    run.alert("x")
    run.log_code()
    run.finish()
    assert lineal.run is None
    assert not home.exists()
    assert os.listdir(".") == []


def test_metrics_are_summarised_as_in_any_run():
    summaries = []
    for mode in ("disabled", "online"):
        with lineal.init(mode=mode, config={"lr": 1}) as run:
            run.define_metric("loss", summary="min, max")
            run.define_metric("acc", summary="copy")
            run.define_metric("val/*", "epoch", goal="maximize", summary="best")
            for value in (1, 3, 2):
                run.log({"loss": value, "acc": value, "val/acc": value})
            found = {key: run.summary[key] for key in run.summary if not key.startswith("_")}
            summaries.append((found, dict(run.config)))
            with pytest.raises(Invalid, match="'median' is none of"):
                run.define_metric("loss", summary="median")
    assert summaries[0] == summaries[1]
    assert summaries[0][0] == {"loss.min": 1, "loss.max": 3, "acc": 2, "val/acc.best": 3}


def test_reading_artifacts_gives_empty_ones():
    with lineal.init(mode="disabled") as run:
        used = run.use_artifact("data:latest", type="dataset")
        assert (used.name, used.type) == ("data:v0", "dataset")
        assert os.listdir(used.download()) == []
        assert os.listdir(run.use_model("m")) == []
        assert run.link_artifact(used, "x").aliases == []
        assert used.anything_at_all(1, b=2) is None


CHANGES = {"add", "add_bytes", "add_dir", "add_file", "add_reference", "new_file", "remove"}
"""What a logged artifact refuses everywhere."""


@pytest.mark.parametrize("kind", [lineal.Artifact, Collection])
@pytest.mark.filterwarnings("ignore:change_type:DeprecationWarning")
def test_all_that_the_real_ones_have_answers(used, kind):
    shown = used if kind is lineal.Artifact else used.collection
    for name in sorted(set(dir(kind)) - CHANGES):
        if name.startswith("_"):
            continue
        value = getattr(shown, name)
        if isinstance(getattr(kind, name), property):
            assert not callable(value), name
        else:
            called(value)
    assert os.listdir(".") == []


def test_an_artifact_is_walked_like_one_that_holds_nothing(used):
    """The seed's snippets, with values of the right kind."""
    assert [entry.extra for entry in used.manifest.entries.values()] == []
    assert [run.name for run in used.used_by()] == []
    assert used.logged_by() is None
    assert used.qualified_name.endswith("/dummy/data:v0")
    assert used.state == "COMMITTED"
    assert datetime.fromisoformat(used.created_at).tzinfo
    assert (used.size, used.file_count, used.tags, used.metadata) == (0, 0, [], {})
    assert used.ttl is None
    assert list(used.collection.versions()) == list(used.files()) == []
    draft = used.new_draft()
    assert draft.add_bytes(b"x", "f").size == 1
    assert lineal.log_artifact(draft).wait().name == "data:v0"
    assert used.lineage().runs == []
    used.aliases.append("best")
    used.save()
    assert used.aliases == ["best"]
    assert pickle.loads(pickle.dumps(used)).name == used.name
    assert isinstance(used, lineal.Artifact)


def test_files_that_are_asked_for_are_empty(used):
    with open(used.get_entry("a/f.txt").download(root="given")) as file:
        assert file.read() == ""
    with used.open("f", "r") as file:
        assert file.read() == ""
    assert used.get("table") is None
    assert os.path.getsize(used.file()) == 0
    with lineal.restore("model.pt") as file:
        assert file.read() == ""
    assert used.download(root="given") == "given"
    assert os.listdir("given") == os.listdir(used.checkout()) == []


def test_checking_out_on_trial_makes_no_folder(used, tmp_path):
    assert used.checkout(str(tmp_path / "new"), dry_run=True) == str(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_checking_out_deletes_nothing(used, tmp_path):
    (tmp_path / "mine").write_text("x")
    used.checkout(str(tmp_path))
    assert (tmp_path / "mine").exists()


def test_the_draft_that_was_logged_can_be_waited_for():
    with lineal.init(mode="disabled") as run:
        draft = lineal.Artifact("a", "dataset", metadata={"k": 1})
        draft.add_bytes(b"x", "f")
        assert run.log_artifact(draft, aliases="best") is draft
        assert draft.wait().version == "v0"
        assert (draft.name, draft.metadata) == ("a:v0", {"k": 1})
        assert os.listdir(draft.download()) == []


def test_a_logged_draft_is_not_missed_at_the_end():
    program = (
        "import lineal\n"
        "run = lineal.init(mode='disabled')\n"
        "draft = lineal.Artifact('a', 'dataset')\n"
        "draft.add_bytes(b'x', 'f')\n"
        "run.log_artifact(draft)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_nothing_is_left_on_disk_at_the_end(tmp_path):
    body = (
        "import lineal; run = lineal.init(mode='disabled'); open(run.dir + '/f', 'w').close(); "
        "artifact = run.use_artifact('x:latest'); print(artifact.download()); artifact.file('y')"
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", body], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(temporary))
    assert os.listdir(temporary) == []


def test_init_takes_artifacts_in_its_config_and_may_be_called_again():
    first = lineal.init(mode="disabled", config={"data": lineal.Artifact("d", "dataset")})
    assert first.config.data.name == "d:v0"
    assert lineal.init(mode="disabled") is first
    second = lineal.init(mode="disabled", reinit="finish_previous")
    assert lineal.run is second
    assert second is not first
    second.finish()


def test_names_are_read_as_elsewhere():
    with lineal.init(mode="disabled") as run:
        assert run.use_artifact("me/p/data:v3").qualified_name == "me/p/data:v3"
        assert run.log_artifact("some/file.csv", type="dataset").name == f"run-{run.id}-file.csv:v0"
        assert run.log_model("model.pt", "m").type == "model"
        assert run.link_model("model.pt", "registered").name == "registered:v0"
        assert run.log_code().type == "code"
        run.config.data = lineal.Artifact("q", "dataset")
        assert run.config.data.name == "q:v0"
        assert run.use_artifact("no name at all!").name == "no_name_at_all_:v0"


def test_old_spellings_of_modes(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert lineal.init().offline
