"""`resume_from` as users see it (RUN-19)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

import lineal
from lineal.client.offline import sync as syncing
from lineal.client.session import open_backend
from lineal.config import load
from lineal.errors import Gone, Invalid, NotFound, UsageError


@pytest.fixture
def trained():
    with lineal.init(id="r", name="long", project="p", config={"lr": 1}) as run:
        run.define_metric("loss", summary="min")
        for step in range(10):
            run.log({"loss": 10 - step, "deep": {"x": step}})
        run.summary["verdict"] = "bad"
    return run


def public(run_id="r"):
    return lineal.Api().run(f"p/{run_id}")


def archive():
    own = public().rawconfig["_lineal"]["value"]
    return public(own["forked_from"].partition("?")[0])


def steps(run):
    return [row["_step"] for row in run.scan_history()]


def test_a_rewound_run_goes_on_under_its_id(trained):
    with lineal.init(project="p", resume_from="r?_step=3", config={"note": "again"}) as run:
        assert (run.id, run.name, run.step, run.resumed) == ("r", "long", 4, True)
        assert run.config.as_dict() == {"lr": 1, "note": "again"}
        run.log({"loss": 100})
    assert steps(public()) == [0, 1, 2, 3, 4]
    assert public().state == "finished"


def test_a_moment_that_is_none_is_named():
    with pytest.raises(Invalid, match="resume_from='5'"):
        lineal.init(project="p", resume_from=5)


def test_the_summary_is_that_of_the_step_with_metric_definitions(trained):
    with lineal.init(project="p", resume_from="r?_step=3") as run:
        assert run.summary["loss"]["min"] == 7
        assert run.summary["deep"]["x"] == 3
        assert "loss" not in list(run.summary)
        assert "verdict" not in run.summary
        run.log({"loss": 8})
    assert public().summary["loss.min"] == 7
    assert archive().summary["verdict"] == "bad"


def test_what_the_run_was_is_kept_and_said(trained, capsys):
    with lineal.init(project="p", resume_from="r?_step=3"):
        pass
    old = archive()
    assert f"ana/p/{old.id}" in capsys.readouterr().err
    assert (old.name, old.state, old.tags) == ("long (before rewind to 3)", "finished", ["rewound"])
    assert steps(old) == list(range(10))


def test_starting_again_from_the_same_step_makes_no_second_copy(trained):
    for _ in range(2):
        with lineal.init(project="p", resume_from="r?_step=3"):
            pass
    assert len(lineal.Api().runs("p")) == 2


def test_pictures_of_the_old_rows_stay_readable(trained):
    with lineal.init(project="p", id="media") as run:
        for step in range(3):
            run.log({"picture": lineal.Image(numpy.full((2, 2, 3), step, dtype=numpy.uint8))})
    with lineal.init(project="p", resume_from="media?_step=0") as run:
        run.log({"picture": lineal.Image(numpy.full((2, 2, 3), 99, dtype=numpy.uint8))})
    own = public("media").rawconfig["_lineal"]["value"]
    old = public(own["forked_from"].partition("?")[0])
    names = {file.name for file in old.files()}
    rows = list(old.scan_history(keys=["picture"]))
    assert len(rows) == 3
    assert {row["picture"]["path"] for row in rows} <= names


@pytest.mark.parametrize(
    "arguments",
    [
        {"resume_from": "r?_step=1", "resume": "allow"},
        {"resume_from": "r?_step=1", "fork_from": "r?_step=1"},
        {"resume_from": "r?_step=1", "id": "other"},
    ],
)
def test_contradictory_arguments_are_refused(trained, arguments):
    with pytest.raises(UsageError):
        lineal.init(project="p", **arguments)
    assert steps(public()) == list(range(10))


@pytest.mark.parametrize(
    "text", ["r", "r?_step=", "r?_step=x", "r?_step=-1", "?_step=1", "r?step=1"]
)
def test_malformed_text_is_refused(trained, text):
    with pytest.raises(Invalid, match="resume_from="):
        lineal.init(project="p", resume_from=text)


def test_an_unknown_run_and_a_step_beyond_the_last_are_refused(trained):
    with pytest.raises(NotFound, match="ana/p/nobody"):
        lineal.init(project="p", resume_from="nobody?_step=0")
    with pytest.raises(Invalid, match="its last step is 9"):
        lineal.init(project="p", resume_from="r?_step=10")
    assert len(lineal.Api().runs("p")) == 1
    public().delete()
    with pytest.raises(Gone):
        lineal.init(project="p", resume_from="r?_step=1")


def test_config_that_would_change_is_refused_before_anything_happens(trained):
    with pytest.raises(Invalid):
        lineal.init(project="p", resume_from="r?_step=3", config={"lr": 2})
    assert steps(public()) == list(range(10))
    with lineal.init(
        project="p", resume_from="r?_step=3", config={"lr": 2}, allow_val_change=True
    ) as run:
        assert run.config.lr == 2


def test_the_active_run_is_not_rewound_behind_its_back(trained):
    active = lineal.init(project="p", id="r", resume="must")
    with pytest.raises(UsageError, match="rewind"):
        lineal.init(project="p", resume_from="r?_step=3")
    run = lineal.init(project="p", resume_from="r?_step=3", reinit="finish_previous")
    assert (run.step, active._is_finished) == (4, True)


def test_a_run_that_counts_as_running_is_rewound_with_a_warning(trained, capsys):
    other = lineal.init(project="p", id="r", resume="must", reinit="create_new")
    with lineal.init(project="p", resume_from="r?_step=3", reinit="create_new") as run:
        assert run.step == 4
    assert "counts as running" in capsys.readouterr().err
    other.finish()


# --- offline ------------------------------------------------------------------------------------


def synced(run):
    settings, folder = load(), run.place.offline_folder
    return syncing.sync([folder], open_backend(settings), settings=settings, again=True)[0]


def test_offline_the_run_is_rewound_when_it_is_synced(trained):
    with lineal.init(project="p", resume_from="r?_step=3", mode="offline") as run:
        assert run.step == 4
        assert run.summary["loss"]["min"] == 7
        run.log({"loss": 1})
    assert steps(public()) == list(range(10))
    for _ in range(2):
        assert synced(run).failures == {}
    assert steps(public()) == [0, 1, 2, 3, 4]
    assert public().summary["loss.min"] == 1
    assert steps(archive()) == list(range(10))


def test_offline_without_the_run_at_hand_goes_on_after_the_step(trained, monkeypatch, tmp_path):
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "elsewhere"))
    with lineal.init(project="p", resume_from="r?_step=3", mode="offline") as run:
        assert run.step == 4
        run.log({"loss": 1})
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "home"))
    assert synced(run).failures == {}
    assert steps(public()) == [0, 1, 2, 3, 4]


def test_offline_a_step_beyond_the_last_is_refused_at_once_or_by_sync(
    trained, monkeypatch, tmp_path
):
    with pytest.raises(Invalid, match="its last step is 9"):
        lineal.init(project="p", resume_from="r?_step=12", mode="offline")
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "elsewhere"))
    with lineal.init(project="p", resume_from="r?_step=12", mode="offline") as run:
        pass
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "home"))
    (failure,) = synced(run).failures.values()
    assert isinstance(failure, Invalid)
    about = json.loads(Path(run.place.offline_folder, "offline.json").read_text())
    assert about["rewind_step"] == 12
