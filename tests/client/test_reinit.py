"""What `init` does while other runs go on, and which run is the active one (RUN-6)."""

from __future__ import annotations

import pytest

import lineal
from lineal.errors import Invalid, MissingFile, RunNotFoundError, UsageError


def run_of(run: lineal.Run):
    return run.backend.run(run.entity, run.project, run.id)


def test_join_is_the_old_name_of_finish():
    run = lineal.init()
    lineal.join()
    assert lineal.run is None
    assert run_of(run).state == "finished"


def test_init_while_a_run_is_active_returns_it_in_a_script(capsys):
    first = lineal.init()
    assert lineal.init() is first
    assert "is active" in capsys.readouterr().err


def test_reinit_finish_previous_and_true_finish_it():
    first = lineal.init()
    second = lineal.init(reinit="finish_previous")
    third = lineal.init(reinit=True)
    assert [run_of(run).state for run in (first, second, third)] == [
        "finished",
        "finished",
        "running",
    ]
    assert lineal.run is third


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        ({"id": "absent", "resume": "must"}, RunNotFoundError),
        ({"resume": "must"}, UsageError),
        ({"resume_from": "absent?_step=1"}, RunNotFoundError),
        ({"project": "a/b"}, UsageError),
        ({"config": "absent.yaml"}, MissingFile),
    ],
)
def test_an_init_that_is_refused_does_not_finish_the_previous_run(refused, error):
    first = lineal.init()
    with pytest.raises(error):
        lineal.init(reinit="finish_previous", **refused)
    assert lineal.run is first
    assert run_of(first).state == "running"


def test_reinit_finish_previous_resumes_the_active_run_itself():
    first = lineal.init()
    first.log({"a": 1})
    again = lineal.init(id=first.id, resume="must", reinit="finish_previous")
    assert (again.id, again.starting_step) == (first.id, 1)


def test_reinit_create_new_leaves_the_active_run_alone():
    first = lineal.init()
    second = lineal.init(reinit="create_new")
    assert lineal.run is first
    second.log({"a": 1})
    second.finish()
    assert lineal.run is first


def test_a_run_made_beside_is_not_the_active_run_even_if_it_is_the_only_one():
    run = lineal.init(reinit="create_new")
    assert lineal.run is None
    for call in (lambda: lineal.log({"a": 1}), lambda: lineal.log_artifact("x")):
        with pytest.raises(UsageError, match=f"`{run.path}` was made beside"):
            call()
    assert run_of(run).state == "running"


def test_init_returns_the_newest_run_that_is_open():
    lineal.init()
    second = lineal.init(reinit="create_new")
    lineal.init(reinit="create_new").finish()
    assert lineal.init() is second


def test_reinit_finish_previous_finishes_the_runs_made_beside_too():
    runs = [lineal.init(), lineal.init(reinit="create_new")]
    lineal.init(reinit="finish_previous")
    assert [run_of(run).state for run in runs] == ["finished", "finished"]


def test_a_saved_artifact_goes_to_the_newest_run_that_is_open():
    lineal.init()
    with lineal.init(reinit="create_new") as beside:
        lineal.Artifact("data", "dataset").save()
    assert [artifact.name for artifact in lineal.Api().run(beside.path).logged_artifacts()] == [
        "data:v0"
    ]


def test_a_run_whose_end_failed_is_not_returned_by_init(monkeypatch):
    first = lineal.init()
    with monkeypatch.context() as broken:
        broken.setattr(first.backend, "finish_run", _no_space)
        with pytest.raises(OSError, match="No space"):
            first.finish()
    assert lineal.init() is not first


def _no_space(*_: object) -> None:
    raise OSError("No space")


def test_must_resume_with_another_run_active_is_an_error():
    lineal.init()
    with pytest.raises(UsageError, match="is active"):
        lineal.init(id="other", resume="must")


def test_an_unknown_reinit_is_refused_naming_the_choices():
    with pytest.raises(Invalid, match="`reinit` cannot be 'zz'; use default, return_previous"):
        lineal.init(reinit="zz")


def test_settings_that_are_none_are_refused_as_that():
    with pytest.raises(TypeError, match=r"settings must be a Settings object or a dict .* not 5"):
        lineal.init(settings=5)
