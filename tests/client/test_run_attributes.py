"""What `run.name = value` does: config and summary take the values; names must be known."""

from __future__ import annotations

import copy
import pickle

import pytest

import lineal
from lineal.client.public.run import Run
from lineal.errors import UsageError


def run_of(run: lineal.Run) -> Run:
    return lineal.Api().run(run.path)


def test_what_is_assigned_to_a_runs_config_is_taken_into_it() -> None:
    with lineal.init(config={"lr": 1, "seed": 3}) as run:
        config = run.config
        run.config = {"lr": 0.1, "epochs": 2}
        run.config["late"] = True
        assert run.config is config
    assert run_of(run).config == {"lr": 0.1, "epochs": 2, "seed": 3, "late": True}


@pytest.mark.parametrize("through", ["run", "package"])
def test_what_is_assigned_to_a_summary_is_taken_into_it(through: str) -> None:
    with lineal.init() as run:
        run.log({"loss": 1})
        if through == "run":
            run.summary = {"best": 0.5}
        else:
            lineal.summary = {"best": 0.5}
        run.summary["late"] = True
        assert lineal.summary is run.summary
    summary = run_of(run).summary
    assert (summary["loss"], summary["best"], summary["late"]) == (1, 0.5, True)


def test_a_disabled_run_takes_what_is_assigned_to_its_config_and_summary() -> None:
    with lineal.init(mode="disabled", config={"lr": 1}) as run:
        run.config = {"epochs": 2}
        run.summary = {"best": 0.5}
        assert (run.config.as_dict(), run.summary["best"]) == ({"lr": 1, "epochs": 2}, 0.5)


def test_what_stood_in_for_the_active_run_hides_no_later_one(monkeypatch) -> None:
    lineal.run = None
    stand_in = object()
    with monkeypatch.context() as patched:
        patched.setattr(lineal, "run", stand_in)
        assert lineal.run is stand_in
    with lineal.init() as run:
        assert lineal.run is run
    assert lineal.run is None


def test_a_summary_assigned_without_a_run_is_refused() -> None:
    with pytest.raises(UsageError, match="no active run"):
        lineal.summary = {"best": 0.5}


def test_the_summary_of_a_run_of_the_api_cannot_be_replaced() -> None:
    with lineal.init() as run:
        run.log({"loss": 1})
    read = run_of(run)
    with pytest.raises(AttributeError, match="summary"):
        read.summary = {"best": 0.5}  # type: ignore[misc,assignment]  # that is the point
    read.update()
    assert run_of(run).summary["loss"] == 1


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_an_attribute_that_no_run_has_is_refused_with_the_nearest(mode: str) -> None:
    with lineal.init(mode=mode) as run:
        with pytest.raises(AttributeError, match=r"no attribute `note`; did you mean `notes`\?"):
            run.note = "misspelt"  # type: ignore[attr-defined]  # that is the point
        with pytest.raises(AttributeError, match=r"`lr`; .* `run\.config`"):
            run.lr = 0.1  # type: ignore[attr-defined]  # that is the point
        with pytest.raises(AttributeError, match=r"no attribute `logg`; did you mean `log`\?"):
            _ = run.logg  # type: ignore[attr-defined]  # that is the point
        run.notes = "right"
        assert run.notes == "right"


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_scripts_name_folders_of_theirs_by_that_of_the_run(mode: str) -> None:
    """As by `run.dir.split("/")[-2]`: it is another one for each run."""
    runs = [lineal.init(mode=mode, reinit="create_new") for _ in range(2)]
    for run in runs:
        *_, folder, files = run.dir.split("/")
        assert folder.endswith(f"-{run.id}")
        assert files == "files"


@pytest.mark.parametrize("mode", ["online", "offline", "shared", "disabled"])
def test_a_run_says_in_which_mode_it_is(mode: str) -> None:
    run = lineal.init(mode=mode)
    assert run.mode == mode
    with pytest.raises(AttributeError):
        run.mode = "online"


@pytest.mark.parametrize("mode", ["online", "disabled"])
def test_the_settings_of_a_run_know_it_as_those_of_wandb_do(mode: str) -> None:
    with lineal.init(project="p", mode=mode) as run:
        known = (run.url, run.project_url, run.dir, run.resumed)
        settings = run.settings
        asked = ("run_url", "project_url", "files_dir", "resumed")
        assert tuple(getattr(settings, name) for name in asked) == known
        assert settings == lineal.Settings(**dict(settings))
        for made in (pickle.loads(pickle.dumps(settings)), copy.deepcopy(settings)):
            with pytest.raises(AttributeError, match=r"the run has it, as `run\.url`"):
                _ = made.run_url
